#include "text/protobuf.h"

#include <string.h>

static uint64_t varint(kn_protobuf *p)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && p->pos < p->size; shift += 7) {
        unsigned char byte = p->data[p->pos++];
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return v;
    }
    p->bad = true;
    return 0;
}

static uint64_t fixed(kn_protobuf *p, size_t n)
{
    uint64_t v = 0;
    if (p->size - p->pos < n) {
        p->bad = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p->data[p->pos++] << (8 * i);
    return v;
}

static void bytes(kn_protobuf *p, kn_protobuf_field *f)
{
    uint64_t n = varint(p);
    if (p->bad || n > p->size - p->pos) {
        p->bad = true;
        return;
    }
    f->data = p->data + p->pos;
    f->size = (size_t)n;
    p->pos += (size_t)n;
}

bool kn_protobuf_next(kn_protobuf *p, kn_protobuf_field *ret)
{
    kn_protobuf_field f = {0};
    if (p->bad || p->pos >= p->size)
        return false;
    uint64_t tag = varint(p);
    f.number = (uint32_t)(tag >> 3);
    f.wire = (kn_wire)(tag & 7);
    if (p->bad || tag > UINT32_MAX || f.number == 0) {
        p->bad = true;
        return false;
    }
    switch (f.wire) {
    case KN_WIRE_VARINT:
        f.value = varint(p);
        break;
    case KN_WIRE_FIXED64:
        f.value = fixed(p, 8);
        break;
    case KN_WIRE_BYTES:
        bytes(p, &f);
        break;
    case KN_WIRE_FIXED32:
        f.value = fixed(p, 4);
        break;
    default:
        p->bad = true;
    }
    if (p->bad)
        return false;
    *ret = f;
    return true;
}

float kn_protobuf_float(const kn_protobuf_field *f)
{
    uint32_t bits = (uint32_t)f->value;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
