// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IFXRule, Reason} from "./FXTypes.sol";

/// @title The token is not locked
/// @notice A lock carries a neutral reason code, such as OBLIGOR_INSOLVENT, and so does its end. It forbids trading, not
///         being paid: a locked token may still be burned, because the debtor, or its administrator, has paid.
contract FXLockupRule is IFXRule, AccessControl {
    /// @inheritdoc IFXRule
    bytes32 public constant ruleId = "LOCKUP";
    /// @notice May lock and unlock tokens.
    bytes32 public constant LOCKER_ROLE = keccak256("LOCKER_ROLE");

    /// @notice Why a token is locked; zero when it is not.
    mapping(uint256 tokenId => bytes32) public lockReason;

    /// @notice A token was locked.
    event TokenLocked(uint256 indexed tokenId, bytes32 reason, bytes32 ref);
    /// @notice A token was unlocked.
    event TokenUnlocked(uint256 indexed tokenId, bytes32 reason, bytes32 ref);

    /// @notice A lock and its end need a reason.
    error ZeroReason();

    /// @param admin may grant and take roles
    /// @param locker holds LOCKER_ROLE
    constructor(address admin, address locker) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(LOCKER_ROLE, locker);
    }

    /// @notice Locks tokens.
    /// @param tokenIds receivables
    /// @param reason code, ASCII
    /// @param ref hash of the platform's operation id
    function lock(uint256[] calldata tokenIds, bytes32 reason, bytes32 ref) external onlyRole(LOCKER_ROLE) {
        if (reason == 0) revert ZeroReason();
        for (uint256 i; i < tokenIds.length; ++i) {
            uint256 tokenId = tokenIds[i];
            lockReason[tokenId] = reason;
            emit TokenLocked(tokenId, reason, ref);
        }
    }

    /// @notice Unlocks tokens.
    /// @param tokenIds receivables
    /// @param reason code, ASCII
    /// @param ref hash of the platform's operation id
    function unlock(uint256[] calldata tokenIds, bytes32 reason, bytes32 ref) external onlyRole(LOCKER_ROLE) {
        if (reason == 0) revert ZeroReason();
        for (uint256 i; i < tokenIds.length; ++i) {
            uint256 tokenId = tokenIds[i];
            delete lockReason[tokenId];
            emit TokenUnlocked(tokenId, reason, ref);
        }
    }

    /// @inheritdoc IFXRule
    function check(address, address, uint256 tokenId, uint256) external view returns (bool, bytes32) {
        if (lockReason[tokenId] != 0) return (false, Reason.TOKEN_LOCKED);
        return (true, 0);
    }
}
