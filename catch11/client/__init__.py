"""A client of a gateway: releases that another machine makes, written here as if it had been this one."""

from catch11.client.gateway import Gateway, GatewayError

__all__ = ["Gateway", "GatewayError"]
