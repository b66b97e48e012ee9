// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {IFXClaimIssuer, IFXIdentity} from "./FXTypes.sol";

/// @title The claims about one wallet, in the shape of ERC-735
/// @notice Deployed once; every wallet gets a minimal clone from the identity registry.
/// @dev Anyone may deliver a claim, because only one with the issuer's valid signature is stored.
contract FXIdentity is IFXIdentity {
    /// @dev A claim in five words. What every claim on this platform has in common (scheme, issuer, no uri) is not stored.
    struct Claim {
        uint64 issuedAt;
        uint64 expiresAt; // never zero
        uint8 v;
        bytes32 evidenceHash;
        bytes32 r;
        bytes32 s;
        uint256 topic;
    }

    uint256 private constant ECDSA_SCHEME = 1;

    mapping(bytes32 claimId => Claim) private _claims;
    /// @dev Claims that were replaced by another one of the same second, by the hash of topic and data.
    mapping(bytes32 claimHash => bool) private _replaced;

    /// @notice The only issuer whose claims are stored.
    address public issuer;

    /// @notice ERC-735's event, with the claim data.
    event ClaimAdded(bytes32 indexed claimId, uint256 indexed topic, address indexed issuer, bytes data);

    /// @notice The clone already has an issuer.
    error AlreadyInitialised();
    /// @notice The claim names another issuer.
    error NotIssuer();
    /// @notice Another scheme than ECDSA, or a uri. Neither is signed, so neither could be believed.
    error UnsignedPart();
    /// @notice Wrong signature, outside its validity period, or revoked.
    error InvalidClaim();
    /// @notice This claim, one that replaced it, or a newer one about this topic is stored.
    error OlderClaim();

    /// @dev Locks the implementation; only clones can be initialised.
    constructor() {
        issuer = address(1);
    }

    /// @notice Sets the issuer, once, in the transaction that creates the clone.
    /// @param issuer_ address of the FXClaimIssuer
    function init(address issuer_) external {
        if (issuer != address(0)) revert AlreadyInitialised();
        // The registry gives what FXTrustedIssuersRegistry holds, and that refuses zero.
        // slither-disable-next-line missing-zero-check
        issuer = issuer_;
    }

    /// @notice Stores a claim in place of an earlier one about the same topic.
    /// @dev Order never depends on whether the stored claim still holds: revoking the newest claim must not let an older
    ///      one, which anybody can read in the chain's history, come back.
    /// @param topic claim topic
    /// @param scheme must be 1, ECDSA
    /// @param issuer_ must be this identity's issuer
    /// @param signature EIP-712 signature
    /// @param data encoded validity period and evidence hash
    /// @param uri must be empty
    /// @return claimId keccak256 of issuer and topic
    function addClaim(
        uint256 topic,
        uint256 scheme,
        address issuer_,
        bytes calldata signature,
        bytes calldata data,
        string calldata uri
    ) external returns (bytes32 claimId) {
        if (issuer_ != issuer) revert NotIssuer();
        if (scheme != ECDSA_SCHEME || bytes(uri).length != 0) revert UnsignedPart();
        if (!IFXClaimIssuer(issuer_).isClaimValid(address(this), topic, signature, data)) revert InvalidClaim();
        claimId = keccak256(abi.encode(issuer_, topic));
        Claim storage stored = _claims[claimId];
        (uint64 issuedAt, uint64 expiresAt, bytes32 evidenceHash) = abi.decode(data, (uint64, uint64, bytes32));
        if (issuedAt < stored.issuedAt) revert OlderClaim();
        if (issuedAt == stored.issuedAt) _replaceInTheSameSecond(stored, topic, data);
        stored.issuedAt = issuedAt;
        stored.expiresAt = expiresAt;
        stored.v = uint8(signature[64]);
        stored.evidenceHash = evidenceHash;
        stored.r = bytes32(signature[:32]);
        stored.s = bytes32(signature[32:64]);
        stored.topic = topic;
        emit ClaimAdded(claimId, topic, issuer_, data);
    }

    /// @inheritdoc IFXIdentity
    function signedClaim(uint256 topic) external view returns (bytes memory signature, bytes memory data) {
        return _signed(_claims[keccak256(abi.encode(issuer, topic))]);
    }

    /// @inheritdoc IFXIdentity
    function getClaim(bytes32 claimId)
        external
        view
        returns (uint256, uint256, address, bytes memory, bytes memory, string memory)
    {
        Claim storage claim = _claims[claimId];
        (bytes memory signature, bytes memory data) = _signed(claim);
        if (data.length == 0) return (0, 0, address(0), signature, data, "");
        return (claim.topic, ECDSA_SCHEME, issuer, signature, data, "");
    }

    /// @dev Two claims of one second have no order of their own; the one delivered later counts, and the other never
    ///      again.
    function _replaceInTheSameSecond(Claim storage stored, uint256 topic, bytes calldata data) private {
        (, bytes memory storedData) = _signed(stored);
        _replaced[keccak256(abi.encode(topic, storedData))] = true;
        if (_replaced[keccak256(abi.encode(topic, data))]) revert OlderClaim();
    }

    function _signed(Claim storage claim) private view returns (bytes memory signature, bytes memory data) {
        uint64 expiresAt = claim.expiresAt;
        if (expiresAt == 0) return ("", "");
        signature = abi.encodePacked(claim.r, claim.s, claim.v);
        data = abi.encode(claim.issuedAt, expiresAt, claim.evidenceHash);
    }
}
