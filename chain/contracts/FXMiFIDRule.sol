// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {IFXIdentityRegistry, IFXRule, Reason, SubjectRole, Topic} from "./FXTypes.sol";

/// @title An investor is a professional client or an eligible counterparty
/// @notice The two topics are alternatives, which ERC-3643's own check (all topics or nothing) cannot say.
contract FXMiFIDRule is IFXRule {
    /// @inheritdoc IFXRule
    bytes32 public constant ruleId = "MIFID";

    /// @notice Where roles and claims are looked up.
    IFXIdentityRegistry public immutable registry;

    /// @param registry_ where roles and claims are looked up
    constructor(IFXIdentityRegistry registry_) {
        registry = registry_;
    }

    /// @inheritdoc IFXRule
    function check(address, address to, uint256, uint256) external view returns (bool, bytes32) {
        if (registry.roleOf(to) != SubjectRole.INVESTOR) return (true, 0);
        if (registry.hasClaim(to, Topic.MIFID_PROFESSIONAL)) return (true, 0);
        if (registry.hasClaim(to, Topic.MIFID_ECP)) return (true, 0);
        return (false, Reason.MIFID_MISSING);
    }
}
