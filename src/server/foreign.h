/* Requests as the clients of other servers write them: their names of our parameters, numbers as text, seconds instead of
 * frames. */
#ifndef KN_SERVER_FOREIGN_H
#define KN_SERVER_FOREIGN_H

#include "server/studio.h"

typedef struct kn_alias {
    const char *theirs, *ours; /* NULL ends a list */
} kn_alias;

/* Sets the parameter that `name` stands for; false: it stands for none. */
bool kn_alias_take(const kn_alias *list, const char *name, const json_t *v, json_t *request);
/* Sets the request's frames for so many seconds, at the model's rate or the request's own. */
int kn_foreign_set_duration(kn_studio *s, kn_reply *reply, double seconds, json_t *request, kn_err *err);

#endif
