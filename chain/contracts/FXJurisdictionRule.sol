// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {IFXIdentityRegistry, IFXRule, Reason, Topic} from "./FXTypes.sol";

/// @title The receiver is in the United Kingdom
contract FXJurisdictionRule is IFXRule {
    /// @inheritdoc IFXRule
    bytes32 public constant ruleId = "JURISDICTION";

    /// @notice Where claims are looked up.
    IFXIdentityRegistry public immutable registry;

    /// @param registry_ where claims are looked up
    constructor(IFXIdentityRegistry registry_) {
        registry = registry_;
    }

    /// @inheritdoc IFXRule
    function check(address, address to, uint256, uint256) external view returns (bool, bytes32) {
        if (!registry.hasClaim(to, Topic.JURISDICTION_UK)) return (false, Reason.JURISDICTION_MISSING);
        return (true, 0);
    }
}
