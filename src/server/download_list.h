/* The line of downloads as JSON: what is stored and told of each (server/downloads.h), oldest first. */
#ifndef KN_SERVER_DOWNLOAD_LIST_H
#define KN_SERVER_DOWNLOAD_LIST_H

#include "server/downloads.h"

/* A new one, in line; NULL: a name is no UTF-8, or no memory. */
json_t *kn_download_make(const char *id, const kn_download_spec *spec);
/* In line again, with what is known of its bytes. */
void kn_download_put_in_line(json_t *o);
bool kn_download_is(const json_t *o, const char *state);
bool kn_download_is_active(const json_t *o); /* waits or runs */

/* Borrowed; NULL: none. */
json_t *kn_download_find(json_t *list, const char *id);
json_t *kn_download_next(json_t *list);
const json_t *kn_download_active(const json_t *list, const char *model);

/* What was stored (may be NULL), without what makes no sense; what ran is in line. NULL without memory. */
json_t *kn_download_list_read(const json_t *stored);
/* Where the list is full the oldest that has ended goes; KN_EBUSY if there is none. */
int kn_download_list_make_room(json_t *list, kn_err *err);

#endif
