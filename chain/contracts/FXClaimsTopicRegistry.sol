// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {IFXClaimsTopicRegistry, Topic} from "./FXTypes.sol";

/// @title The claim topics a wallet must hold
/// @notice Publishes, for ERC-3643's tools, the topics FXComplianceModularised and its rules check by name.
contract FXClaimsTopicRegistry is IFXClaimsTopicRegistry {
    uint256[] private _required;
    uint256[] private _investor;

    /// @notice ERC-3643's event, once for every topic.
    event ClaimTopicAdded(uint256 indexed topic);

    /// @dev The topics are fixed; another set is another deployment.
    constructor() {
        uint256[3] memory required = [Topic.KYC_VERIFIED, Topic.AML_CLEARED, Topic.JURISDICTION_UK];
        uint256[2] memory investor = [Topic.MIFID_PROFESSIONAL, Topic.MIFID_ECP];
        for (uint256 i; i < required.length; ++i) emit ClaimTopicAdded(required[i]);
        for (uint256 i; i < investor.length; ++i) emit ClaimTopicAdded(investor[i]);
        _required = required;
        _investor = investor;
    }

    /// @inheritdoc IFXClaimsTopicRegistry
    function requiredTopics() external view returns (uint256[] memory) {
        return _required;
    }

    /// @inheritdoc IFXClaimsTopicRegistry
    function investorTopics() external view returns (uint256[] memory) {
        return _investor;
    }

    /// @notice The required topics under ERC-3643's own name.
    function getClaimTopics() external view returns (uint256[] memory) {
        return _required;
    }
}
