/* A bounded reader of protobuf's wire format: enough for SentencePiece models. */
#ifndef KN_TEXT_PROTOBUF_H
#define KN_TEXT_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kn_protobuf {
    const unsigned char *data;
    size_t size, pos;
    bool bad; /* met something that is not protobuf */
} kn_protobuf;

typedef enum kn_wire {
    KN_WIRE_VARINT = 0,
    KN_WIRE_FIXED64 = 1,
    KN_WIRE_BYTES = 2,
    KN_WIRE_FIXED32 = 5,
} kn_wire;

typedef struct kn_protobuf_field {
    uint32_t number;
    kn_wire wire;
    uint64_t value;            /* VARINT, FIXED32, FIXED64 */
    const unsigned char *data; /* BYTES */
    size_t size;
} kn_protobuf_field;

/* The next field; false at the end and where the message is malformed (then `bad`). */
bool kn_protobuf_next(kn_protobuf *p, kn_protobuf_field *ret);
float kn_protobuf_float(const kn_protobuf_field *f);

#endif
