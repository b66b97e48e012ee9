// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {IFXClaimIssuer, IFXIdentity} from "./FXTypes.sol";

/// @title The claims about one wallet, in the shape of ERC-735
/// @notice Deployed once; every wallet gets a minimal clone from the identity registry.
/// @dev Anyone may deliver a claim, because only one with the issuer's valid signature is stored.
contract FXIdentity is IFXIdentity {
    struct Claim {
        uint256 topic;
        uint256 scheme;
        address issuer;
        bytes signature;
        bytes data;
        string uri;
    }

    mapping(bytes32 claimId => Claim) private _claims;

    /// @notice The only issuer whose claims are stored.
    address public issuer;

    /// @notice ERC-735's event, with the claim data.
    event ClaimAdded(bytes32 indexed claimId, uint256 indexed topic, address indexed issuer, bytes data);

    /// @notice The clone already has an issuer.
    error AlreadyInitialised();
    /// @notice The claim names another issuer.
    error NotIssuer();
    /// @notice Wrong signature, outside its validity period, or revoked.
    error InvalidClaim();
    /// @notice A newer claim about this topic is stored.
    error OlderClaim();

    /// @dev Locks the implementation; only clones can be initialised.
    constructor() {
        issuer = address(1);
    }

    /// @notice Sets the issuer, once, in the transaction that creates the clone.
    /// @param issuer_ address of the FXClaimIssuer
    function init(address issuer_) external {
        if (issuer != address(0)) revert AlreadyInitialised();
        issuer = issuer_;
    }

    /// @notice Stores a claim in place of an earlier one about the same topic.
    /// @param topic claim topic
    /// @param scheme signature scheme, 1 for ECDSA
    /// @param issuer_ must be this identity's issuer
    /// @param signature EIP-712 signature
    /// @param data encoded validity period and evidence hash
    /// @param uri where the evidence lies; empty on this platform
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
        if (!IFXClaimIssuer(issuer_).isClaimValid(address(this), topic, signature, data)) revert InvalidClaim();
        claimId = keccak256(abi.encode(issuer_, topic));
        if (_isOlder(data, _claims[claimId].data)) revert OlderClaim();
        _claims[claimId] = Claim(topic, scheme, issuer_, signature, data, uri);
        emit ClaimAdded(claimId, topic, issuer_, data);
    }

    /// @inheritdoc IFXIdentity
    function getClaim(bytes32 claimId)
        external
        view
        returns (uint256, uint256, address, bytes memory, bytes memory, string memory)
    {
        Claim storage claim = _claims[claimId];
        return (claim.topic, claim.scheme, claim.issuer, claim.signature, claim.data, claim.uri);
    }

    /// @dev Claims are ordered by issue time, then expiry, so a renewal within one second still counts as newer.
    function _isOlder(bytes calldata data, bytes memory stored) private pure returns (bool) {
        if (stored.length == 0) return false;
        (uint64 issuedAt, uint64 expiresAt,) = abi.decode(data, (uint64, uint64, bytes32));
        (uint64 storedIssuedAt, uint64 storedExpiresAt,) = abi.decode(stored, (uint64, uint64, bytes32));
        if (issuedAt != storedIssuedAt) return issuedAt < storedIssuedAt;
        return expiresAt < storedExpiresAt;
    }
}
