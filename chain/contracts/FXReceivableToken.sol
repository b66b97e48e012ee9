// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC6909} from "@openzeppelin/contracts/token/ERC6909/ERC6909.sol";
import {IFXCompliance, Reason, Verdict} from "./FXTypes.sol";

/// @title Receivables as tokens: an ERC-3643 profile over ERC-6909 balances
/// @notice A token id is one receivable and one unit is one penny of its face. Every move between wallets passes
///         the compliance contract; a move it cannot judge is refused.
contract FXReceivableToken is ERC6909, AccessControl {
    /// @notice May mint.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    /// @notice May burn a settled receivable.
    bytes32 public constant BURNER_ROLE = keccak256("BURNER_ROLE");
    /// @notice Moves tokens for the custodial wallets; FXRecovery holds it too.
    bytes32 public constant OPERATOR_ROLE = keccak256("OPERATOR_ROLE");
    /// @notice May stop and resume every mint and transfer.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");
    /// @notice Most holders one receivable can have, so that a burn always fits into a block.
    uint256 public constant MAX_HOLDERS = 128;

    enum Status {
        None,
        Live,
        Burned
    }

    struct Receivable {
        uint128 face;
        Status status;
        bool fractionalised;
    }

    /// @notice The contract every transfer is put to.
    IFXCompliance public immutable compliance;
    /// @notice True while mints and transfers are stopped.
    bool public paused;

    /// @notice Face in pence, status and whether slices may be moved.
    mapping(uint256 tokenId => Receivable) public receivables;
    /// @notice True when a transfer reference was used.
    mapping(bytes32 ref => bool) public usedRef;

    // Filled by _addHolder through a storage pointer, which slither does not follow.
    // slither-disable-next-line uninitialized-state
    mapping(uint256 tokenId => address[]) private _holders;
    mapping(uint256 tokenId => mapping(address wallet => uint256)) private _holderPlace; // from 1; 0 = not a holder

    /// @notice A receivable came into being.
    event Minted(uint256 indexed tokenId, address indexed receiver, uint256 face);
    /// @notice The holder split the receivable; slices may be moved from now on.
    event Fractionalised(uint256 indexed tokenId, address indexed holder, uint256[] faces, bytes32 indexed ref);
    /// @notice The receivable was paid and every balance burned.
    event Settled(uint256 indexed tokenId, uint256 face, uint256 holders);
    /// @notice A transfer carried the platform's reference.
    event TransferRef(bytes32 indexed ref, uint256 indexed tokenId, address from, address to, uint256 amount);
    /// @notice Mints and transfers were stopped or resumed.
    event PausedSet(bool paused);

    /// @notice The id was minted before; an id is never used twice.
    error TokenIdUsed(uint256 tokenId);
    /// @notice The receivable does not exist or is burned.
    error NotLive(uint256 tokenId);
    /// @notice Face is zero or does not fit 128 bits.
    error BadFace();
    /// @notice Compliance, a pause or the balance refused the move.
    error TransferRefused(bytes32 reason);
    /// @notice The reference is zero or was used.
    error DuplicateRef(bytes32 ref);
    /// @notice Slices must be 2 to MAX_HOLDERS, positive, add up to the face, and be made once by the sole holder.
    error BadSlices();
    /// @notice The receivable would have more than MAX_HOLDERS holders.
    error TooManyHolders();

    /// @param admin may grant and take roles
    /// @param minter mints and burns
    /// @param operator moves for the custodial wallets
    /// @param pauser may stop and resume
    /// @param compliance_ the five steps
    constructor(address admin, address minter, address operator, address pauser, IFXCompliance compliance_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(MINTER_ROLE, minter);
        _grantRole(BURNER_ROLE, minter);
        _grantRole(OPERATOR_ROLE, operator);
        _grantRole(PAUSER_ROLE, pauser);
        compliance = compliance_;
    }

    /// @notice Stops or resumes every mint and transfer; burns go on.
    /// @param on true stops
    function setPaused(bool on) external onlyRole(PAUSER_ROLE) {
        paused = on;
        emit PausedSet(on);
    }

    /// @notice Brings a receivable into being, whole, in one wallet.
    /// @param receiver a verified wallet
    /// @param tokenId never used before
    /// @param face in pence
    function mint(address receiver, uint256 tokenId, uint256 face) external onlyRole(MINTER_ROLE) {
        if (receivables[tokenId].status != Status.None) revert TokenIdUsed(tokenId);
        if (face == 0 || face > type(uint128).max) revert BadFace();
        if (paused) revert TransferRefused(Reason.PAUSED);
        (bool ok, bytes32 reason) = _ask(abi.encodeCall(IFXCompliance.canReceive, (receiver)));
        if (!ok) revert TransferRefused(reason);
        receivables[tokenId] = Receivable(uint128(face), Status.Live, false);
        _mint(receiver, tokenId, face);
        emit Minted(tokenId, receiver, face);
    }

    /// @notice Burns every balance of a paid receivable. The id can never be minted again.
    /// @dev Neither a lock nor a pause stops it: they forbid trading, not being paid.
    /// @param tokenId a live receivable
    function burn(uint256 tokenId) external onlyRole(BURNER_ROLE) {
        Receivable storage receivable = _live(tokenId);
        receivable.status = Status.Burned;
        address[] memory wallets = _holders[tokenId];
        for (uint256 i = wallets.length; i > 0; --i) {
            _burn(wallets[i - 1], tokenId, balanceOf(wallets[i - 1], tokenId));
        }
        emit Settled(tokenId, receivable.face, wallets.length);
    }

    /// @notice Splits a receivable, so that parts of it may be moved. Balances do not change.
    /// @param tokenId a live receivable with one holder
    /// @param faces the slices in pence; they add up to the face
    /// @param ref hash of the platform's operation id
    function fractionalise(uint256 tokenId, uint256[] calldata faces, bytes32 ref) external {
        Receivable storage receivable = _live(tokenId);
        address holder = _holders[tokenId][0];
        if (msg.sender != holder) _checkRole(OPERATOR_ROLE);
        if (receivable.fractionalised || _holders[tokenId].length != 1) revert BadSlices();
        if (faces.length < 2 || faces.length > MAX_HOLDERS) revert BadSlices();
        uint256 total = 0;
        for (uint256 i; i < faces.length; ++i) {
            if (faces[i] == 0) revert BadSlices();
            total += faces[i];
        }
        if (total != receivable.face) revert BadSlices();
        receivable.fractionalised = true;
        emit Fractionalised(tokenId, holder, faces, ref);
    }

    /// @notice Moves the sender's whole balance.
    /// @param from wallet that gives
    /// @param to wallet that receives
    /// @param tokenId receivable
    function transferFrom(address from, address to, uint256 tokenId) external returns (bool) {
        return transferFrom(from, to, tokenId, balanceOf(from, tokenId));
    }

    /// @notice Moves a part of the sender's balance.
    /// @param from wallet that gives
    /// @param to wallet that receives
    /// @param tokenId receivable
    /// @param amount face in pence
    function transferFrom(address from, address to, uint256 tokenId, uint256 amount) public override returns (bool) {
        if (!hasRole(OPERATOR_ROLE, msg.sender)) return super.transferFrom(from, to, tokenId, amount);
        _transfer(from, to, tokenId, amount);
        return true;
    }

    /// @notice Moves value under a reference that can be used once, ever: the second line behind the journal.
    /// @param from wallet that gives
    /// @param to wallet that receives
    /// @param tokenId receivable
    /// @param amount face in pence
    /// @param ref hash of the platform's operation id
    function transferWithRef(address from, address to, uint256 tokenId, uint256 amount, bytes32 ref)
        external
        onlyRole(OPERATOR_ROLE)
    {
        if (ref == 0 || usedRef[ref]) revert DuplicateRef(ref);
        usedRef[ref] = true;
        _transfer(from, to, tokenId, amount);
        emit TransferRef(ref, tokenId, from, to, amount);
    }

    /// @notice Says whether a move would be accepted now, and if not, why.
    /// @param from wallet that gives
    /// @param to wallet that receives
    /// @param tokenId receivable
    /// @param amount face in pence
    /// @return ok true when it would be accepted
    /// @return reason refusal code, zero when accepted
    function canTransfer(address from, address to, uint256 tokenId, uint256 amount)
        public
        view
        returns (bool ok, bytes32 reason)
    {
        if (paused) return (false, Reason.PAUSED);
        Receivable storage receivable = receivables[tokenId];
        if (receivable.status != Status.Live) return (false, Reason.TOKEN_NOT_LIVE);
        (ok, reason) = _ask(abi.encodeCall(IFXCompliance.canTransfer, (from, to, tokenId, amount)));
        if (!ok) return (false, reason);
        if (amount == 0 || amount > balanceOf(from, tokenId)) return (false, Reason.INSUFFICIENT_FACE);
        if (!receivable.fractionalised && amount != receivable.face) return (false, Reason.NOT_FRACTIONALISED);
        return (true, 0);
    }

    /// @notice Every holder of a receivable with its balance.
    /// @param tokenId receivable
    /// @return wallets holders in no particular order
    /// @return faces their balances in pence
    function holders(uint256 tokenId) external view returns (address[] memory wallets, uint256[] memory faces) {
        wallets = _holders[tokenId];
        faces = new uint256[](wallets.length);
        for (uint256 i; i < wallets.length; ++i) faces[i] = balanceOf(wallets[i], tokenId);
    }

    /// @notice ERC-165.
    /// @param interfaceId an interface's id
    function supportsInterface(bytes4 interfaceId) public view override(ERC6909, AccessControl) returns (bool) {
        return super.supportsInterface(interfaceId);
    }

    /// @dev Every balance change comes through here: mint, burn, and each of the transfer functions.
    function _update(address from, address to, uint256 tokenId, uint256 amount) internal override {
        if (from != address(0) && to != address(0)) {
            (bool ok, bytes32 reason) = canTransfer(from, to, tokenId, amount);
            if (!ok) revert TransferRefused(reason);
        }
        super._update(from, to, tokenId, amount);
        if (to != address(0)) _addHolder(tokenId, to);
        if (from != address(0) && balanceOf(from, tokenId) == 0) _removeHolder(tokenId, from);
    }

    function _addHolder(uint256 tokenId, address wallet) private {
        if (_holderPlace[tokenId][wallet] != 0) return;
        address[] storage wallets = _holders[tokenId];
        if (wallets.length == MAX_HOLDERS) revert TooManyHolders();
        wallets.push(wallet);
        _holderPlace[tokenId][wallet] = wallets.length;
    }

    function _removeHolder(uint256 tokenId, address wallet) private {
        uint256 place = _holderPlace[tokenId][wallet];
        if (place == 0) return;
        address[] storage wallets = _holders[tokenId];
        address last = wallets[wallets.length - 1];
        if (last != wallet) {
            wallets[place - 1] = last;
            _holderPlace[tokenId][last] = place;
        }
        wallets.pop();
        delete _holderPlace[tokenId][wallet];
    }

    function _live(uint256 tokenId) private view returns (Receivable storage receivable) {
        receivable = receivables[tokenId];
        if (receivable.status != Status.Live) revert NotLive(tokenId);
    }

    /// @dev Fails closed: no code, a revert or a malformed answer is a refusal.
    function _ask(bytes memory question) private view returns (bool, bytes32) {
        (bool answered, bool ok, bytes32 reason) = Verdict.ask(address(compliance), gasleft(), question);
        if (!answered) return (false, Reason.COMPLIANCE_UNAVAILABLE);
        if (ok) return (true, 0);
        return (false, reason == 0 ? Reason.COMPLIANCE_UNAVAILABLE : reason);
    }
}
