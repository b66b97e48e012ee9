// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IFXClaimIssuer} from "./FXTypes.sol";

/// @title FinToken X as claim issuer
/// @notice A claim is EIP-712 typed data signed by a key that holds SIGNER_ROLE.
/// @dev Claim data is abi.encode(uint64 issuedAt, uint64 expiresAt, bytes32 evidenceHash), times in Unix seconds.
///      Revocation names the signed digest, not the signature's bytes, so a bent signature cannot revive a claim.
contract FXClaimIssuer is IFXClaimIssuer, AccessControl {
    /// @notice Signs claims off chain.
    bytes32 public constant SIGNER_ROLE = keccak256("SIGNER_ROLE");
    /// @notice May revoke claims.
    bytes32 public constant REVOKER_ROLE = keccak256("REVOKER_ROLE");

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant CLAIM_TYPEHASH = keccak256("Claim(address identity,uint256 topic,bytes32 dataHash)");
    uint256 private constant DATA_LENGTH = 96;

    bytes32 private immutable _domainSeparator;

    /// @notice True when the claim with this digest was revoked.
    mapping(bytes32 digest => bool) public revoked;

    /// @notice A claim was revoked for good.
    event ClaimRevoked(bytes32 indexed digest);

    /// @param admin may grant and take roles
    /// @param signer signs claims off chain
    /// @param revoker may revoke claims
    constructor(address admin, address signer, address revoker) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(SIGNER_ROLE, signer);
        _grantRole(REVOKER_ROLE, revoker);
        _domainSeparator = keccak256(
            abi.encode(DOMAIN_TYPEHASH, keccak256("FXClaimIssuer"), keccak256("1"), block.chainid, address(this))
        );
    }

    /// @notice The digest a signer signs for a claim.
    /// @param identity the wallet's FXIdentity
    /// @param topic claim topic
    /// @param data encoded validity period and evidence hash
    function digest(address identity, uint256 topic, bytes calldata data) public view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(CLAIM_TYPEHASH, identity, topic, keccak256(data)));
        return keccak256(abi.encodePacked(hex"1901", _domainSeparator, structHash));
    }

    /// @inheritdoc IFXClaimIssuer
    /// @dev ECDSA.tryRecover accepts 65-byte signatures in the lower half order only.
    function isClaimValid(address identity, uint256 topic, bytes calldata signature, bytes calldata data)
        external
        view
        returns (bool)
    {
        if (data.length != DATA_LENGTH) return false;
        (uint64 issuedAt, uint64 expiresAt,) = abi.decode(data, (uint64, uint64, bytes32));
        if (block.timestamp < issuedAt || block.timestamp >= expiresAt) return false;
        bytes32 signed = digest(identity, topic, data);
        if (revoked[signed]) return false;
        // The third value only details the failure.
        // slither-disable-next-line unused-return
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecover(signed, signature);
        return failure == ECDSA.RecoverError.NoError && hasRole(SIGNER_ROLE, signer);
    }

    /// @notice Revokes claims for good; one revoked before stays revoked.
    /// @param claimDigests what `digest` returns for the claims
    function revoke(bytes32[] calldata claimDigests) external onlyRole(REVOKER_ROLE) {
        for (uint256 i; i < claimDigests.length; ++i) {
            revoked[claimDigests[i]] = true;
            emit ClaimRevoked(claimDigests[i]);
        }
    }
}
