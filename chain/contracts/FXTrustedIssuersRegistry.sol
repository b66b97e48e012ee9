// SPDX-License-Identifier: LicenseRef-FinTokenX
pragma solidity ^0.8.24;

import {IFXTrustedIssuersRegistry} from "./FXTypes.sol";

/// @title Who may issue claims: FinToken X and nobody else
contract FXTrustedIssuersRegistry is IFXTrustedIssuersRegistry {
    /// @notice The one trusted claim issuer contract.
    address public immutable issuer;

    /// @notice ERC-3643's event.
    event TrustedIssuerAdded(address indexed trustedIssuer);

    /// @notice The issuer may not be the zero address.
    error ZeroIssuer();

    /// @param issuer_ address of the FXClaimIssuer
    constructor(address issuer_) {
        if (issuer_ == address(0)) revert ZeroIssuer();
        issuer = issuer_;
        emit TrustedIssuerAdded(issuer_);
    }

    /// @inheritdoc IFXTrustedIssuersRegistry
    function isTrusted(address candidate, uint256) external view returns (bool) {
        return candidate == issuer;
    }

    /// @inheritdoc IFXTrustedIssuersRegistry
    function issuerFor(uint256) external view returns (address) {
        return issuer;
    }
}
