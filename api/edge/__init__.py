"""What stands between the network and the application.

`connections` bounds who may hold a connection and for how long, `door` what a request may look like before it is routed
and what every answer carries, `bodies` how much is read, how fast, and whether it is JSON at all.
"""
