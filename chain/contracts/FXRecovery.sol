// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {FXReceivableToken} from "./FXReceivableToken.sol";
import {IFXIdentityRegistry, OrderReason} from "./FXTypes.sol";

/// @title Moves a holder did not ask for: forced transfers and lost wallets
/// @notice One key proposes, another approves the very same content, and the rules run as for any transfer: a locked
///         token, a missing claim or a restricted wallet refuses. A refused approval can be given again until the
///         proposal expires.
/// @dev Holds OPERATOR_ROLE of the token and RECOVERY_ROLE of the registry. Only the hash of a proposal is stored, so the
///      approver sends the content as its own words and not a reference to somebody else's.
contract FXRecovery is AccessControl {
    /// @notice May propose orders and withdraw them.
    bytes32 public constant RECOVERY_PROPOSER_ROLE = keccak256("RECOVERY_PROPOSER_ROLE");
    /// @notice May approve what another key proposed.
    bytes32 public constant RECOVERY_APPROVER_ROLE = keccak256("RECOVERY_APPROVER_ROLE");
    /// @notice How long a proposal can be approved, in seconds.
    uint64 public constant PROPOSAL_SECONDS = 7 days;
    /// @notice Most receivables one order names, so that it always fits into a block.
    uint256 public constant MAX_TOKENS = 64;

    /// @notice What an order does.
    enum Kind {
        ForcedTransfer,
        Recovery
    }

    /// @notice How far a proposal is.
    enum Status {
        None,
        Proposed,
        Withdrawn,
        Executed
    }

    /// @notice An order. A forced transfer moves `amount` pence of one token; a recovery moves the whole balance of
    ///         every token listed, names no amount, and retires the wallet it moves them from.
    struct Order {
        Kind kind;
        address from;
        address to;
        uint256[] tokenIds;
        uint256 amount;
        bytes32 reason;
        bytes32 ref;
    }

    struct Proposal {
        bytes32 contentHash;
        address proposer;
        uint64 expiresAt;
        Status status;
    }

    /// @notice Where receivables are moved.
    FXReceivableToken public immutable token;
    /// @notice Where wallets are retired.
    IFXIdentityRegistry public immutable registry;

    /// @notice The proposal under a reference; a reference is proposed once, ever.
    mapping(bytes32 ref => Proposal) public proposals;

    /// @notice An order waits for a second key until `expiresAt`.
    event OrderProposed(
        bytes32 indexed ref, bytes32 indexed contentHash, address indexed proposer, Order order, uint64 expiresAt
    );
    /// @notice The proposer took an order back.
    event OrderWithdrawn(bytes32 indexed ref);
    /// @notice A second key approved an order and it was carried out.
    event OrderExecuted(
        bytes32 indexed ref, address indexed from, address indexed to, Kind kind, bytes32 reason, address approver
    );

    /// @notice One key holds or would hold both roles, or proposed what it now approves.
    error SameKey();
    /// @notice The order does not fit its kind, or gives a reason that is not one of OrderReason.
    error BadOrder();
    /// @notice The reference is zero or was proposed before.
    error DuplicateRef(bytes32 ref);
    /// @notice Nothing waits under this reference.
    error NotProposed(bytes32 ref);
    /// @notice The proposal is older than PROPOSAL_SECONDS.
    error ProposalExpired(bytes32 ref);
    /// @notice What is approved is not what was proposed.
    error OtherContent(bytes32 proposed);
    /// @notice Only the key that proposed may withdraw.
    error NotProposer();
    /// @notice A lost wallet is replaced by another registered one of the same subject and role.
    error OtherSubject();

    /// @param admin may grant and take roles
    /// @param proposer holds RECOVERY_PROPOSER_ROLE
    /// @param approver holds RECOVERY_APPROVER_ROLE
    /// @param token_ where receivables are moved
    /// @param registry_ where wallets are retired
    constructor(
        address admin,
        address proposer,
        address approver,
        FXReceivableToken token_,
        IFXIdentityRegistry registry_
    ) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(RECOVERY_PROPOSER_ROLE, proposer);
        _grantRole(RECOVERY_APPROVER_ROLE, approver);
        token = token_;
        registry = registry_;
    }

    /// @notice Puts an order to the second key.
    /// @param order what to do; its reference must be new
    function propose(Order calldata order) external onlyRole(RECOVERY_PROPOSER_ROLE) {
        _requireWellFormed(order);
        Proposal storage proposal = proposals[order.ref];
        if (order.ref == 0 || proposal.status != Status.None) revert DuplicateRef(order.ref);
        uint64 expiresAt = uint64(block.timestamp) + PROPOSAL_SECONDS;
        bytes32 hash = contentHash(order);
        proposals[order.ref] = Proposal(hash, msg.sender, expiresAt, Status.Proposed);
        emit OrderProposed(order.ref, hash, msg.sender, order, expiresAt);
    }

    /// @notice Takes an order back, expired or not.
    /// @param ref of the order
    function withdraw(bytes32 ref) external onlyRole(RECOVERY_PROPOSER_ROLE) {
        Proposal storage proposal = _waiting(ref);
        if (proposal.proposer != msg.sender) revert NotProposer();
        proposal.status = Status.Withdrawn;
        emit OrderWithdrawn(ref);
    }

    /// @notice Approves an order and carries it out, whole or not at all.
    /// @param order exactly what was proposed under its reference
    function approve(Order calldata order) external onlyRole(RECOVERY_APPROVER_ROLE) {
        Proposal storage proposal = _waiting(order.ref);
        if (proposal.proposer == msg.sender) revert SameKey();
        if (block.timestamp >= proposal.expiresAt) revert ProposalExpired(order.ref);
        if (proposal.contentHash != contentHash(order)) revert OtherContent(proposal.contentHash);
        proposal.status = Status.Executed;
        emit OrderExecuted(order.ref, order.from, order.to, order.kind, order.reason, msg.sender);
        if (order.kind == Kind.Recovery) _recover(order);
        // Moving what the holder did not offer is the point; the token moves it or reverts, and never returns false.
        // slither-disable-next-line arbitrary-send-erc20,unchecked-transfer,unused-return
        else token.transferFrom(order.from, order.to, order.tokenIds[0], order.amount);
    }

    /// @notice What both keys agree on: the whole order, on this contract and chain.
    /// @param order any order
    function contentHash(Order calldata order) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), order));
    }

    /// @dev No key ever holds both roles, whoever grants them.
    function _grantRole(bytes32 role, address account) internal override returns (bool) {
        if (role == RECOVERY_PROPOSER_ROLE && hasRole(RECOVERY_APPROVER_ROLE, account)) revert SameKey();
        if (role == RECOVERY_APPROVER_ROLE && hasRole(RECOVERY_PROPOSER_ROLE, account)) revert SameKey();
        return super._grantRole(role, account);
    }

    function _recover(Order calldata order) private {
        if (order.from == order.to || !registry.isRegistered(order.to)) revert OtherSubject();
        if (registry.subjectOf(order.from) != registry.subjectOf(order.to)) revert OtherSubject();
        if (registry.roleOf(order.from) != registry.roleOf(order.to)) revert OtherSubject();
        for (uint256 i; i < order.tokenIds.length; ++i) {
            // As in approve.
            // slither-disable-next-line arbitrary-send-erc20,unchecked-transfer,unused-return
            token.transferFrom(order.from, order.to, order.tokenIds[i]);
        }
        registry.retire(order.from);
    }

    function _waiting(bytes32 ref) private view returns (Proposal storage proposal) {
        proposal = proposals[ref];
        if (proposal.status != Status.Proposed) revert NotProposed(ref);
    }

    function _requireWellFormed(Order calldata order) private pure {
        if (order.kind == Kind.Recovery) {
            bool listed = order.tokenIds.length > 0 && order.tokenIds.length <= MAX_TOKENS;
            if (!listed || order.amount != 0 || order.reason != OrderReason.WALLET_REPLACED) revert BadOrder();
        } else {
            if (order.tokenIds.length != 1 || order.amount == 0) revert BadOrder();
            bool known = order.reason == OrderReason.REGISTER_ORDER || order.reason == OrderReason.REGISTER_CORRECTION;
            if (!known) revert BadOrder();
        }
    }
}
