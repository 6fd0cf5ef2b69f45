/* Range: which bytes of a file a client asks for. */
#ifndef KN_SERVER_RANGE_H
#define KN_SERVER_RANGE_H

#include <stdint.h>

typedef enum kn_range_kind {
    KN_RANGE_WHOLE,         /* none, several, or not understood: the file */
    KN_RANGE_PART,          /* 206 */
    KN_RANGE_UNSATISFIABLE, /* 416 */
} kn_range_kind;

typedef struct kn_range {
    uint64_t first, size; /* of a part: size > 0, first + size <= the file's */
} kn_range;

/* header: the value of Range, NULL if there is none. RFC 9110, 14.2. */
kn_range_kind kn_range_parse(const char *header, uint64_t file_size, kn_range *ret);

#endif
