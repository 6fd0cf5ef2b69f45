#include "hub/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool is_public_v4(uint32_t a)
{
    static const struct {
        uint32_t address;
        int bits;
    } special[] = {
        {0x00000000, 8},  /* this network */
        {0x0a000000, 8},  /* private */
        {0x64400000, 10}, /* shared by a provider's clients */
        {0x7f000000, 8},  /* loopback */
        {0xa9fe0000, 16}, /* link-local: also what clouds tell their machines */
        {0xac100000, 12}, /* private */
        {0xc0000000, 24}, /* protocol assignments */
        {0xc0000200, 24}, /* documentation */
        {0xc0586300, 24}, /* 6to4 relays */
        {0xc0a80000, 16}, /* private */
        {0xc6120000, 15}, /* benchmarks */
        {0xc6336400, 24}, /* documentation */
        {0xcb007100, 24}, /* documentation */
        {0xe0000000, 3},  /* multicast, reserved, broadcast */
    };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if ((a ^ special[i].address) >> (32 - special[i].bits) == 0)
            return false;
    return true;
}

static uint32_t v4_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool has_prefix(const uint8_t *a, const uint8_t *prefix, int bits)
{
    return memcmp(a, prefix, (size_t)bits / 8) == 0 &&
           (bits % 8 == 0 || (a[bits / 8] ^ prefix[bits / 8]) >> (8 - bits % 8) == 0);
}

static bool is_public_v6(const uint8_t *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
                         nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const struct {
        uint8_t prefix[4];
        int bits;
    } special[] = {
        {{0x20, 0x01, 0x00, 0x00}, 23}, /* protocol assignments, Teredo among them */
        {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
        {{0x3f, 0xff, 0x00, 0x00}, 20}, /* documentation */
    };
    if (has_prefix(a, mapped, 96) || has_prefix(a, nat64, 96))
        return is_public_v4(v4_at(a + 12));
    if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
        return is_public_v4(v4_at(a + 2));
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if (has_prefix(a, special[i].prefix, special[i].bits))
            return false;
    return a[0] >> 5 == 1; /* 2000::/3 is all that is given out */
}

bool kn_ip_is_public(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return is_public_v4(ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr));
    if (a->sa_family == AF_INET6)
        return is_public_v6(((const struct sockaddr_in6 *)(const void *)a)->sin6_addr.s6_addr);
    return false;
}

bool kn_ip_parse(const char *host, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)ret;
    char inner[64];
    memset(ret, 0, sizeof *ret);
    if (inet_aton(host, &v4->sin_addr)) { /* also 0177.1, 0x7f000001, 2130706433 */
        v4->sin_family = AF_INET;
        return true;
    }
    snprintf(inner, sizeof inner, "%s", *host == '[' ? host + 1 : host);
    inner[strcspn(inner, "]%")] = '\0'; /* a zone says nothing of whose it is */
    if (inet_pton(AF_INET6, inner, &v6->sin6_addr) != 1)
        return false;
    v6->sin6_family = AF_INET6;
    return true;
}
