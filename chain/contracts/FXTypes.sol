// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

// Shapes follow the public texts of EIP-3643, ERC-734, ERC-735 and ERC-6909; no T-REX or ONCHAINID source is imported.

/// @title One transfer rule of the compliance contract
interface IFXRule {
    /// @notice Says whether this rule allows the move.
    /// @dev Must return exactly two words. The caller reads anything else as a refusal.
    /// @param from wallet that gives; zero while a token is minted
    /// @param to wallet that receives
    /// @param tokenId receivable
    /// @param amount face in pence
    /// @return ok true when allowed
    /// @return reason refusal code, zero when allowed
    function check(address from, address to, uint256 tokenId, uint256 amount)
        external
        view
        returns (bool ok, bytes32 reason);

    /// @notice Names the rule, so that it cannot be installed at another rule's place.
    function ruleId() external view returns (bytes32);
}

/// @title The claim topics a wallet must hold
interface IFXClaimsTopicRegistry {
    /// @notice Topics every receiver must hold.
    function requiredTopics() external view returns (uint256[] memory);

    /// @notice Topics of which an investor must hold one.
    function investorTopics() external view returns (uint256[] memory);
}

/// @title Who may issue claims
interface IFXTrustedIssuersRegistry {
    /// @notice True when `issuer` may issue claims about `topic`.
    /// @param issuer who signed
    /// @param topic claim topic
    function isTrusted(address issuer, uint256 topic) external view returns (bool);

    /// @notice The issuer of claims about `topic`.
    /// @param topic claim topic
    function issuerFor(uint256 topic) external view returns (address);
}

/// @title Checks a claim's signature, validity period and revocation
interface IFXClaimIssuer {
    /// @notice True when the claim is signed by this issuer, in its validity period and not revoked.
    /// @param identity the wallet's FXIdentity
    /// @param topic claim topic
    /// @param signature EIP-712 signature, 65 bytes
    /// @param data encoded validity period and evidence hash
    function isClaimValid(address identity, uint256 topic, bytes calldata signature, bytes calldata data)
        external
        view
        returns (bool);
}

/// @title The claims of one wallet
interface IFXIdentity {
    /// @notice Returns the signature and the signed data of the claim about `topic`; both empty when there is none.
    /// @param topic claim topic
    /// @return signature 65 bytes
    /// @return data encoded validity period and evidence hash
    function signedClaim(uint256 topic) external view returns (bytes memory signature, bytes memory data);

    /// @notice Returns a stored claim; every field is zero when there is none.
    /// @param claimId keccak256 of issuer and topic
    function getClaim(bytes32 claimId)
        external
        view
        returns (
            uint256 topic,
            uint256 scheme,
            address issuer,
            bytes memory signature,
            bytes memory data,
            string memory uri
        );
}

/// @title Wallets, their identities and their claims
interface IFXIdentityRegistry {
    /// @notice True when the wallet was ever registered, active or not.
    /// @param wallet any wallet
    function isRegistered(address wallet) external view returns (bool);

    /// @notice True when the wallet is registered and active.
    /// @param wallet any wallet
    function isVerified(address wallet) external view returns (bool);

    /// @notice True when the wallet holds a claim about `topic` that is valid now.
    /// @param wallet any wallet
    /// @param topic claim topic
    function hasClaim(address wallet, uint256 topic) external view returns (bool);

    /// @notice The wallet's SubjectRole; zero when unknown.
    /// @param wallet any wallet
    function roleOf(address wallet) external view returns (uint8);

    /// @notice The keyed hash of the subject the wallet belongs to; zero when unknown.
    /// @param wallet any wallet
    function subjectOf(address wallet) external view returns (bytes32);

    /// @notice Makes a wallet that was replaced inactive.
    /// @param wallet the wallet that was replaced
    function retire(address wallet) external;
}

/// @title The five steps every transfer passes
interface IFXCompliance {
    /// @notice Runs the five steps in order and returns the first refusal.
    /// @param from wallet that gives
    /// @param to wallet that receives
    /// @param tokenId receivable
    /// @param amount face in pence
    function canTransfer(address from, address to, uint256 tokenId, uint256 amount)
        external
        view
        returns (bool ok, bytes32 reason);

    /// @notice Runs the receiver's part of the steps, for a token about to be minted to `to`.
    /// @param to wallet that receives
    function canReceive(address to) external view returns (bool ok, bytes32 reason);
}

/// @title Asks a contract for a verdict, and survives whatever it answers
/// @dev A high-level call, try/catch included, itself reverts when there is no code or the answer cannot be decoded,
///      and copies an answer of any length. Here at most two words are copied, and only two words are an answer.
library Verdict {
    uint256 private constant ANSWER_LENGTH = 64;

    /// @notice Puts an ABI-encoded question by staticcall.
    /// @param judge who is asked
    /// @param gasLimit most gas the answer may take
    /// @param question calldata
    /// @return answered false without code, after a revert, and when the answer is not exactly two words
    /// @return ok true when the first word is 1
    /// @return reason the second word
    function ask(address judge, uint256 gasLimit, bytes memory question)
        internal
        view
        returns (bool answered, bool ok, bytes32 reason)
    {
        assembly ("memory-safe") {
            answered := staticcall(gasLimit, judge, add(question, 0x20), mload(question), 0x00, 0x40)
            answered := and(answered, eq(returndatasize(), ANSWER_LENGTH))
            ok := eq(mload(0x00), 1)
            reason := mload(0x20)
        }
    }
}

/// @notice Claim topics: keccak256 of the name, as ERC-3643 does.
library Topic {
    uint256 internal constant KYC_VERIFIED = uint256(keccak256("KYC_VERIFIED"));
    uint256 internal constant AML_CLEARED = uint256(keccak256("AML_CLEARED"));
    uint256 internal constant MIFID_PROFESSIONAL = uint256(keccak256("MIFID_PROFESSIONAL"));
    uint256 internal constant MIFID_ECP = uint256(keccak256("MIFID_ECP"));
    uint256 internal constant JURISDICTION_UK = uint256(keccak256("JURISDICTION_UK"));
}

/// @notice What a wallet's owner does on the platform.
library SubjectRole {
    uint8 internal constant PLATFORM = 1;
    uint8 internal constant SME_SELLER = 2;
    uint8 internal constant LENDER = 3;
    uint8 internal constant INVESTOR = 4;
}

/// @notice Why a register order moves receivables; left-aligned ASCII. None of them says what lies behind the order.
library OrderReason {
    bytes32 internal constant WALLET_REPLACED = "WALLET_REPLACED";
    bytes32 internal constant REGISTER_ORDER = "REGISTER_ORDER";
    bytes32 internal constant REGISTER_CORRECTION = "REGISTER_CORRECTION";
}

/// @notice Refusal codes, left-aligned ASCII.
/// @dev A sanctioned wallet and an inactive identity share RESTRICTED: other firms' validators read the chain,
///      and a code that named the cause would tip off. The cause is kept off chain.
library Reason {
    bytes32 internal constant SENDER_NOT_VERIFIED = "SENDER_NOT_VERIFIED";
    bytes32 internal constant RECEIVER_NOT_VERIFIED = "RECEIVER_NOT_VERIFIED";
    bytes32 internal constant RESTRICTED = "RESTRICTED";
    bytes32 internal constant KYC_MISSING = "KYC_VERIFIED_MISSING";
    bytes32 internal constant AML_MISSING = "AML_CLEARED_MISSING";
    bytes32 internal constant JURISDICTION_MISSING = "JURISDICTION_UK_MISSING";
    bytes32 internal constant MIFID_MISSING = "MIFID_CATEGORY_MISSING";
    bytes32 internal constant TOKEN_LOCKED = "TOKEN_LOCKED";
    bytes32 internal constant SCREENING_STALE = "SCREENING_STALE";
    bytes32 internal constant RULE_UNAVAILABLE = "RULE_UNAVAILABLE";
    bytes32 internal constant RULE_REFUSED = "RULE_REFUSED";
    bytes32 internal constant COMPLIANCE_UNAVAILABLE = "COMPLIANCE_UNAVAILABLE";
    bytes32 internal constant PAUSED = "PAUSED";
    bytes32 internal constant TOKEN_NOT_LIVE = "TOKEN_NOT_LIVE";
    bytes32 internal constant INSUFFICIENT_FACE = "INSUFFICIENT_FACE";
    bytes32 internal constant NOT_FRACTIONALISED = "NOT_FRACTIONALISED";
}
