"""The permissioned chain: contracts, transactions that happen exactly once, anchors, and evidence anyone can
verify.
"""
