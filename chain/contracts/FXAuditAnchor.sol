// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title Merkle roots of the audit log, in order and for good
/// @notice Refuses a gap, an overlap, a rewrite, a replay, a skipped batch, a wrong count, a zero root and a wrong
///         previous head. There is no edit path and no proxy.
/// @dev RFC 6962 over the entries' 32-byte chained hashes:
///        leaf = sha256(0x00 || hash), node = sha256(0x01 || left || right), an odd node is promoted.
///        head = sha256("FXA1" || prevHead || uint64 batchId || uint64 from || uint64 to || root)
///        genesis head = sha256("FXA1-genesis" || logId)
///      Nothing here is immutable in the Solidity sense, so the deployed code equals the published artifact.
contract FXAuditAnchor is AccessControl {
    /// @notice May anchor batches.
    bytes32 public constant ANCHOR_ROLE = keccak256("ANCHOR_ROLE");

    bytes1 private constant LEAF_PREFIX = 0x00;

    struct Batch {
        bytes32 root;
        bytes32 head;
        uint64 fromPosition;
        uint64 toPosition;
        uint64 anchoredAt;
    }

    mapping(uint64 batchId => Batch) private _batches; // from 1

    /// @notice Number of anchored batches, which is the last batch's id.
    uint64 public batchCount;
    /// @notice Names the audit log.
    // slither-disable-next-line immutable-states
    bytes32 public logId;
    /// @notice The head before the first batch.
    // slither-disable-next-line immutable-states
    bytes32 public genesisHead;

    /// @notice A batch was anchored.
    event Anchored(
        uint64 indexed batchId,
        uint64 indexed fromPosition,
        uint64 indexed toPosition,
        bytes32 root,
        bytes32 prevHead,
        bytes32 head,
        uint64 entryCount
    );

    /// @notice Batches are numbered without a gap.
    error WrongBatchId(uint64 expected, uint64 got);
    /// @notice A batch starts where the last one ended.
    error NotContiguous(uint64 expectedFrom, uint64 gotFrom);
    /// @notice A batch holds at least one entry.
    error EmptyBatch();
    /// @notice The count is not the length of the range.
    error WrongCount(uint64 expected, uint64 got);
    /// @notice The batch continues another history.
    error WrongPrevHead(bytes32 expected);
    /// @notice A root is never zero.
    error ZeroRoot();
    /// @notice There is no such batch.
    error UnknownBatch(uint64 batchId);

    /// @param admin may grant and take roles
    /// @param anchorer holds ANCHOR_ROLE
    /// @param logId_ names the audit log
    constructor(address admin, address anchorer, bytes32 logId_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(ANCHOR_ROLE, anchorer);
        logId = logId_;
        genesisHead = sha256(abi.encodePacked("FXA1-genesis", logId_));
    }

    /// @notice Anchors the next batch.
    /// @param batchId one more than the last
    /// @param fromPosition one more than the last batch's end; 1 for the first
    /// @param toPosition last position of the batch
    /// @param entryCount number of entries
    /// @param root RFC 6962 Merkle root
    /// @param prevHead head after the last batch
    /// @return newHead head after this batch
    function anchor(
        uint64 batchId,
        uint64 fromPosition,
        uint64 toPosition,
        uint64 entryCount,
        bytes32 root,
        bytes32 prevHead
    ) external onlyRole(ANCHOR_ROLE) returns (bytes32 newHead) {
        if (batchId != batchCount + 1) revert WrongBatchId(batchCount + 1, batchId);
        uint64 expectedFrom = nextPosition();
        if (fromPosition != expectedFrom) revert NotContiguous(expectedFrom, fromPosition);
        if (toPosition < fromPosition) revert EmptyBatch();
        uint64 length = toPosition - fromPosition + 1;
        if (entryCount != length) revert WrongCount(length, entryCount);
        bytes32 lastHead = head();
        if (prevHead != lastHead) revert WrongPrevHead(lastHead);
        if (root == 0) revert ZeroRoot();
        newHead = sha256(abi.encodePacked("FXA1", lastHead, batchId, fromPosition, toPosition, root));
        _batches[batchId] = Batch(root, newHead, fromPosition, toPosition, uint64(block.timestamp));
        batchCount = batchId;
        emit Anchored(batchId, fromPosition, toPosition, root, lastHead, newHead, entryCount);
    }

    /// @notice A batch as anchored.
    /// @param batchId from 1
    function getBatch(uint64 batchId) external view returns (Batch memory) {
        return _existing(batchId);
    }

    /// @notice The head after the last batch.
    function head() public view returns (bytes32) {
        return batchCount == 0 ? genesisHead : _batches[batchCount].head;
    }

    /// @notice The position the next batch starts at.
    function nextPosition() public view returns (uint64) {
        return batchCount == 0 ? 1 : _batches[batchCount].toPosition + 1;
    }

    /// @notice The batch that covers a position; 0 when none does.
    /// @param position of an entry in the log
    function batchOf(uint64 position) external view returns (uint64) {
        if (position == 0 || position >= nextPosition()) return 0;
        uint64 low = 1;
        uint64 high = batchCount;
        while (low < high) {
            uint64 middle = (low + high) / 2;
            if (_batches[middle].toPosition < position) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    /// @notice Says whether an entry is in a batch.
    /// @dev Index and size come from the chain and force the shape and the length of the proof, so the prover has
    ///      no left-or-right hints to bend.
    /// @param batchId batch that covers the position
    /// @param position of the entry in the log
    /// @param entryHash the entry's chained hash
    /// @param proof siblings from the leaf upwards
    function verifyInclusion(uint64 batchId, uint64 position, bytes32 entryHash, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        Batch storage batch = _existing(batchId);
        if (position < batch.fromPosition || position > batch.toPosition) return false;
        uint256 index = position - batch.fromPosition;
        uint256 last = batch.toPosition - batch.fromPosition;
        uint256 used = 0;
        bytes32 hash = sha256(abi.encodePacked(LEAF_PREFIX, entryHash));
        while (last > 0) {
            bool isRight = index & 1 == 1;
            if (isRight || index < last) {
                if (used == proof.length) return false;
                hash = isRight ? _node(proof[used], hash) : _node(hash, proof[used]);
                ++used;
            }
            index >>= 1;
            last >>= 1;
        }
        return used == proof.length && hash == batch.root;
    }

    function _existing(uint64 batchId) private view returns (Batch storage batch) {
        batch = _batches[batchId];
        if (batch.toPosition == 0) revert UnknownBatch(batchId);
    }

    /// @dev sha256(0x01 || left || right) straight through the precompile: a third of the gas of abi.encodePacked.
    ///      The input lies behind the free memory pointer, which is not moved, so memory does not grow with the proof.
    function _node(bytes32 left, bytes32 right) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 0x01)
            mstore(add(input, 0x01), left)
            mstore(add(input, 0x21), right)
            if iszero(staticcall(gas(), 0x02, input, 0x41, 0x00, 0x20)) { revert(0, 0) }
            hash := mload(0x00)
        }
    }
}
