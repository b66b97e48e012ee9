// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IFXRule, Reason} from "./FXTypes.sol";

/// @title Screening is fresh and neither wallet is restricted
/// @notice Without a heartbeat for `maxAge` seconds every transfer is refused.
/// @dev A refusal says RESTRICTED, the same as for an inactive identity, and events name no cause.
contract FXSanctionsRule is IFXRule, AccessControl {
    /// @inheritdoc IFXRule
    bytes32 public constant ruleId = "SANCTIONS";
    /// @notice May report list updates and restrictions.
    bytes32 public constant ORACLE_ROLE = keccak256("ORACLE_ROLE");

    /// @notice Seconds after which a list counts as stale.
    uint64 public immutable maxAge;
    /// @notice Unix time of the last heartbeat; zero, and so long stale, before the first.
    uint64 public updatedAt;
    /// @notice Hash of the list in force.
    bytes32 public listHash;

    mapping(address wallet => bool) private _restricted;

    /// @notice A list was read in full.
    event ListRefreshed(bytes32 indexed listHash, uint64 refreshedAt);
    /// @notice A wallet's restriction was set or lifted.
    event RestrictionSet(address indexed wallet, bool restricted);

    /// @param admin may grant and take roles
    /// @param oracle holds ORACLE_ROLE
    /// @param maxAge_ seconds
    constructor(address admin, address oracle, uint64 maxAge_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(ORACLE_ROLE, oracle);
        maxAge = maxAge_;
    }

    /// @notice Reports that screening ran against a list.
    /// @param listHash_ hash of the list
    function heartbeat(bytes32 listHash_) external onlyRole(ORACLE_ROLE) {
        updatedAt = uint64(block.timestamp);
        listHash = listHash_;
        emit ListRefreshed(listHash_, updatedAt);
    }

    /// @notice Restricts a wallet, or lifts its restriction.
    /// @param wallet any wallet
    /// @param restricted true refuses every transfer from and to it
    function set(address wallet, bool restricted) external onlyRole(ORACLE_ROLE) {
        _restricted[wallet] = restricted;
        emit RestrictionSet(wallet, restricted);
    }

    /// @inheritdoc IFXRule
    function check(address from, address to, uint256, uint256) external view returns (bool, bytes32) {
        if (block.timestamp > uint256(updatedAt) + maxAge) return (false, Reason.SCREENING_STALE);
        if (_restricted[from] || _restricted[to]) return (false, Reason.RESTRICTED);
        return (true, 0);
    }
}
