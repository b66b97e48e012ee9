// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {FXIdentity} from "./FXIdentity.sol";
import {
    IFXClaimIssuer,
    IFXClaimsTopicRegistry,
    IFXIdentity,
    IFXIdentityRegistry,
    IFXTrustedIssuersRegistry
} from "./FXTypes.sol";

/// @title Wallets and their identities
/// @notice A wallet is verified when it is registered and active; what it may do follows from its claims.
contract FXIdentityRegistry is IFXIdentityRegistry, AccessControl {
    /// @notice May register wallets and change their status (ERC-3643's agent).
    bytes32 public constant AGENT_ROLE = keccak256("AGENT_ROLE");
    /// @notice May retire a wallet that was replaced: FXRecovery, once it is granted the role.
    bytes32 public constant RECOVERY_ROLE = keccak256("RECOVERY_ROLE");

    struct Entry {
        address identity;
        uint16 country;
        uint8 role;
        bool active;
        bytes32 subject;
    }

    /// @notice The claim topics in force.
    IFXClaimsTopicRegistry public immutable topics;
    /// @notice Who may issue claims.
    IFXTrustedIssuersRegistry public immutable issuers;
    /// @notice The FXIdentity every clone delegates to.
    address public immutable identityImplementation;

    /// @notice What is registered about a wallet.
    mapping(address wallet => Entry) public entries;

    /// @notice A wallet was registered; `subject` is a keyed hash, never a name.
    event IdentityRegistered(
        address indexed wallet, address indexed identity, bytes32 indexed subject, uint8 role, uint16 country
    );
    /// @notice A wallet became active or inactive. No reason is given on chain.
    event IdentityStatus(address indexed wallet, bool active);

    /// @notice The wallet has an identity.
    error AlreadyRegistered(address wallet);
    /// @notice The wallet has no identity.
    error UnknownWallet(address wallet);
    /// @notice The identity clone could not be created.
    error CloneFailed();

    /// @param admin may grant and take roles
    /// @param registrar holds AGENT_ROLE
    /// @param topics_ claim topics in force
    /// @param issuers_ trusted issuers
    /// @param implementation FXIdentity to clone
    constructor(
        address admin,
        address registrar,
        IFXClaimsTopicRegistry topics_,
        IFXTrustedIssuersRegistry issuers_,
        address implementation
    ) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(AGENT_ROLE, registrar);
        topics = topics_;
        issuers = issuers_;
        // A wrong implementation, zero or not, shows at the first registration, which is the deployment's own.
        // slither-disable-next-line missing-zero-check
        identityImplementation = implementation;
    }

    /// @notice Creates the wallet's identity and registers it, in one transaction.
    /// @param wallet the owner's wallet
    /// @param country ISO 3166-1 numeric code, 826 for the United Kingdom
    /// @param role a SubjectRole
    /// @param subject keyed hash of the subject's reference
    /// @return identity_ address of the clone
    function registerIdentity(address wallet, uint16 country, uint8 role, bytes32 subject)
        external
        onlyRole(AGENT_ROLE)
        returns (address identity_)
    {
        if (entries[wallet].identity != address(0)) revert AlreadyRegistered(wallet);
        identity_ = _clone(bytes32(uint256(uint160(wallet))));
        entries[wallet] = Entry(identity_, country, role, true, subject);
        emit IdentityRegistered(wallet, identity_, subject, role, country);
        FXIdentity(identity_).init(issuers.issuerFor(0));
    }

    /// @notice Makes a wallet active or inactive.
    /// @param wallet a registered wallet
    /// @param active false refuses every transfer from and to it
    function setActive(address wallet, bool active) external onlyRole(AGENT_ROLE) {
        if (entries[wallet].identity == address(0)) revert UnknownWallet(wallet);
        entries[wallet].active = active;
        emit IdentityStatus(wallet, active);
    }

    /// @inheritdoc IFXIdentityRegistry
    function retire(address wallet) external onlyRole(RECOVERY_ROLE) {
        entries[wallet].active = false;
        emit IdentityStatus(wallet, false);
    }

    /// @inheritdoc IFXIdentityRegistry
    function isRegistered(address wallet) external view returns (bool) {
        return entries[wallet].identity != address(0);
    }

    /// @inheritdoc IFXIdentityRegistry
    function isVerified(address wallet) external view returns (bool) {
        return entries[wallet].active;
    }

    /// @inheritdoc IFXIdentityRegistry
    function roleOf(address wallet) external view returns (uint8) {
        return entries[wallet].role;
    }

    /// @inheritdoc IFXIdentityRegistry
    function subjectOf(address wallet) external view returns (bytes32) {
        return entries[wallet].subject;
    }

    /// @notice The wallet's FXIdentity; zero when it is not registered.
    /// @param wallet any wallet
    function identity(address wallet) external view returns (address) {
        return entries[wallet].identity;
    }

    /// @inheritdoc IFXIdentityRegistry
    function hasClaim(address wallet, uint256 topic) external view returns (bool) {
        address holder = entries[wallet].identity;
        if (holder == address(0)) return false;
        address issuer = issuers.issuerFor(topic);
        (bytes memory signature, bytes memory data) = IFXIdentity(holder).signedClaim(topic);
        return IFXClaimIssuer(issuer).isClaimValid(holder, topic, signature, data);
    }

    /// @dev EIP-1167 minimal proxy by CREATE2. Written out, because OpenZeppelin's Clones needs Cancun (mcopy) and
    ///      the platform targets `paris`.
    function _clone(bytes32 salt) private returns (address instance) {
        address implementation = identityImplementation;
        assembly ("memory-safe") {
            mstore(0x00, or(shr(0xe8, shl(0x60, implementation)), 0x3d602d80600a3d3981f3363d3d373d3d3d363d73000000))
            mstore(0x20, or(shl(0x78, implementation), 0x5af43d82803e903d91602b57fd5bf3))
            instance := create2(0, 0x09, 0x37, salt)
        }
        if (instance == address(0)) revert CloneFailed();
    }
}
