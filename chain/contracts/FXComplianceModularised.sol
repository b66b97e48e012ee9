// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IFXCompliance, IFXIdentityRegistry, IFXRule, Reason, Topic, Verdict} from "./FXTypes.sol";

/// @title The five steps every transfer passes
/// @notice 1 both wallets verified; 2 the receiver holds KYC, AML and JURISDICTION_UK; 3 an investor holds a MiFID
///         category; 4 the token is not locked; 5 screening is fresh and clear. The first refusal is the answer.
/// @dev A rule's place is fixed: governance may replace an implementation, never the order. A rule without code, one
///      that reverts, takes too much gas or gives a malformed answer refuses.
contract FXComplianceModularised is IFXCompliance, AccessControl {
    /// @notice May replace a rule's implementation. Nobody holds it until the admin grants it, which everybody can see.
    bytes32 public constant GOVERNOR_ROLE = keccak256("GOVERNOR_ROLE");

    uint256 private constant RULE_COUNT = 4;
    uint256 private constant LOCKUP = 2;
    /// @dev Three times what the dearest rule takes, and little enough that a rule which burns it all still leaves the
    ///      transfer the gas to be refused by name.
    uint256 private constant RULE_GAS = 200_000;

    /// @notice Wallets and claims.
    IFXIdentityRegistry public immutable registry;

    /// @notice JURISDICTION, MIFID, LOCKUP, SANCTIONS, in this order.
    IFXRule[RULE_COUNT] public rules;

    /// @notice A rule was installed.
    event RuleSet(uint256 indexed position, bytes32 indexed ruleId, address rule);

    /// @notice The contract is another rule than the one this place holds.
    error WrongRule(uint256 position);

    /// @param admin may grant and take roles
    /// @param registry_ wallets and claims
    /// @param rules_ the four rules, in order
    constructor(address admin, IFXIdentityRegistry registry_, IFXRule[RULE_COUNT] memory rules_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        registry = registry_;
        for (uint256 i; i < RULE_COUNT; ++i) _setRule(i, rules_[i]);
    }

    /// @notice Replaces the implementation of one rule.
    /// @param position 0 to 3
    /// @param rule must carry the rule id of that position
    function setRule(uint256 position, IFXRule rule) external onlyRole(GOVERNOR_ROLE) {
        _setRule(position, rule);
    }

    /// @inheritdoc IFXCompliance
    function canTransfer(address from, address to, uint256 tokenId, uint256 amount)
        external
        view
        returns (bool ok, bytes32 reason)
    {
        if (!registry.isRegistered(from)) return (false, Reason.SENDER_NOT_VERIFIED);
        if (!registry.isVerified(from)) return (false, Reason.RESTRICTED);
        (ok, reason) = _checkReceiver(to);
        if (!ok) return (false, reason);
        for (uint256 i; i < RULE_COUNT; ++i) {
            (ok, reason) = _ask(rules[i], from, to, tokenId, amount);
            if (!ok) return (false, reason);
        }
        return (true, 0);
    }

    /// @inheritdoc IFXCompliance
    function canReceive(address to) external view returns (bool ok, bytes32 reason) {
        (ok, reason) = _checkReceiver(to);
        if (!ok) return (false, reason);
        for (uint256 i; i < RULE_COUNT; ++i) {
            if (i == LOCKUP) continue;
            (ok, reason) = _ask(rules[i], address(0), to, 0, 0);
            if (!ok) return (false, reason);
        }
        return (true, 0);
    }

    function _setRule(uint256 position, IFXRule rule) private {
        bytes32[RULE_COUNT] memory ids = [bytes32("JURISDICTION"), "MIFID", "LOCKUP", "SANCTIONS"];
        if (rule.ruleId() != ids[position]) revert WrongRule(position);
        rules[position] = rule;
        emit RuleSet(position, ids[position], address(rule));
    }

    function _checkReceiver(address to) private view returns (bool, bytes32) {
        if (!registry.isRegistered(to)) return (false, Reason.RECEIVER_NOT_VERIFIED);
        if (!registry.isVerified(to)) return (false, Reason.RESTRICTED);
        if (!registry.hasClaim(to, Topic.KYC_VERIFIED)) return (false, Reason.KYC_MISSING);
        if (!registry.hasClaim(to, Topic.AML_CLEARED)) return (false, Reason.AML_MISSING);
        return (true, 0);
    }

    function _ask(IFXRule rule, address from, address to, uint256 tokenId, uint256 amount)
        private
        view
        returns (bool, bytes32)
    {
        bytes memory question = abi.encodeCall(IFXRule.check, (from, to, tokenId, amount));
        (bool answered, bool ok, bytes32 reason) = Verdict.ask(address(rule), RULE_GAS, question);
        if (!answered) return (false, Reason.RULE_UNAVAILABLE);
        if (ok) return (true, 0);
        return (false, reason == 0 ? Reason.RULE_REFUSED : reason);
    }
}
