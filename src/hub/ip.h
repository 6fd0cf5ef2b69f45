/* Which addresses are those of the internet: a client that names an address to be asked must not reach through us what it cannot
 * reach itself. */
#ifndef KN_HUB_IP_H
#define KN_HUB_IP_H

#include <stdbool.h>
#include <sys/socket.h>

/* False of this machine, private and local networks, those for special purposes, multicast, and IPv6 addresses that hold such an
 * IPv4 address (IANA's registries of special-purpose addresses). */
bool kn_ip_is_public(const struct sockaddr *a);
/* The address that a host's name is, in one of the ways to write one; false: it is a name, or "" . */
bool kn_ip_parse(const char *host, struct sockaddr_storage *ret);

#endif
