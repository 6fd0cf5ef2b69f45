/* Setting one parameter, checked: shared by the text and the JSON form. */
#ifndef KN_ENGINE_REQUEST_INTERNAL_H
#define KN_ENGINE_REQUEST_INTERNAL_H

#include "engine/request.h"

void *kn_request_field(const kn_request *rq, const kn_param *p);
int kn_request_set_string(char **f, const kn_param *p, const char *value, kn_err *err);
int kn_request_set_int(int64_t *f, const kn_param *p, int64_t value, kn_err *err);
int kn_request_set_real(double *f, const kn_param *p, double value, kn_err *err);
int kn_request_add_string(kn_strings *list, const kn_param *p, const char *value, kn_err *err);
int kn_request_add_real(kn_reals *list, const kn_param *p, double value, kn_err *err);
int kn_request_add_lora(kn_loras *list, const kn_param *p, const char *path, size_t path_size,
                        double strength, kn_expert expert, kn_err *err);
int kn_request_parse_bytes(int64_t *f, const kn_param *p, const char *value, kn_err *err);
int kn_request_parse_lora(kn_loras *list, const kn_param *p, const char *value, kn_err *err);

#endif
