/* Reading the keys of one LoRA file. */
#ifndef KN_TENSOR_LORA_READ_H
#define KN_TENSOR_LORA_READ_H

#include "tensor/lora_priv.h"

/* Puts every difference the file holds into the set. A key that is not understood, or names no module of the target, or
 * does not fit its shape, is an error that names it. */
int kn_lora_read(kn_lora_set *s, kn_checkpoint *file, float strength, const kn_lora_modules *modules,
                 kn_err *err);

#endif
