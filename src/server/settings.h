/* Settings: one table drives validation, the API and the page; values are kept in the queue's database. */
#ifndef KN_SERVER_SETTINGS_H
#define KN_SERVER_SETTINGS_H

#include "jobs/queue.h"

typedef enum kn_setting_type {
    KN_SETTING_BOOL,
    KN_SETTING_INT,
    KN_SETTING_CHOICE,
    KN_SETTING_TEXT,
    KN_SETTING_URL,    /* text: empty, or an address */
    KN_SETTING_SECRET, /* text that is never told in full */
} kn_setting_type;

typedef struct kn_setting {
    const char *name;
    kn_setting_type type;
    int64_t min, max;    /* of int; of text: bytes */
    const char *choices; /* "a|b" */
    const char *fallback;
    bool needs_restart; /* takes effect when the server starts */
    const char *help;
} kn_setting;

extern const kn_setting kn_settings[]; /* ends with name NULL */

/* What is set, with the defaults for the rest: an object by name. Secrets are in it: kn_settings_shown is for clients. */
int kn_settings_load(kn_queue *q, json_t **ret, kn_err *err);
/* Changes the keys that `change` has, all or none. KN_EINVAL: the message begins with the setting's name. *ret (may be NULL):
 * all settings afterwards. A secret as kn_settings_shown gave it stays what it is. Another hf_endpoint forgets the token, which was
 * meant for the one before, unless the change has a new one. */
int kn_settings_change(kn_queue *q, const json_t *change, json_t **ret, kn_err *err);
/* A copy with secrets as "hf_...abcd"; NULL without memory. */
json_t *kn_settings_shown(const json_t *values);
/* {"settings": [{"name", "type", "min", "max", "choices", "value", "default", "needs_restart", "help"}]} */
json_t *kn_settings_to_json(const json_t *values);

#endif
