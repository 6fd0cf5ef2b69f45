/* Removing a model from the models folder. */
#ifndef KN_SERVER_MODEL_REMOVE_H
#define KN_SERVER_MODEL_REMOVE_H

#include "jobs/places.h"
#include "jobs/queue.h"

/* name: as the list of models has it, relative to the models folder. Links are removed, not what they lead to. KN_ENOTFOUND: there is
 * no such model. KN_EINVAL: it comes with the program, or the name leads elsewhere. KN_EBUSY: a running job uses it. */
int kn_model_remove(const kn_places *places, kn_queue *queue, const char *name, kn_err *err);

#endif
