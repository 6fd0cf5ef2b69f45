/* What PEFT and diffusers say about a LoRA beside its tensors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tensor/lora_priv.h"

static int load_json(kn_lora_config *c, const kn_checkpoint *file, kn_err *err)
{
    const char *text = kn_checkpoint_meta(file, "lora_adapter_metadata"), *path = kn_checkpoint_path(file);
    if (text)
        return kn_json_parse(text, strlen(text), "lora_adapter_metadata", &c->json, err);
    if (strcmp(kn_path_base(path), "adapter_model.safetensors") != 0)
        return 0;
    char *beside = kn_asprintf("%.*sadapter_config.json", (int)(kn_path_base(path) - path), path);
    int rc = beside ? 0 : kn_fail(err, KN_ENOMEM, "no memory to read %.200s", path);
    if (!rc && kn_path_exists(beside))
        rc = kn_json_load(beside, &c->json, err);
    free(beside);
    return rc;
}

static const json_t *get(const kn_lora_config *c, const char *key)
{
    char full[96];
    snprintf(full, sizeof full, "%s%s", c->prefix, key);
    return json_object_get(c->json, full);
}

int kn_lora_config_init(kn_lora_config *c, const kn_checkpoint *file, kn_err *err)
{
    static const char *const prefixes[] = {"", "transformer.", "unet.", "diffusion_model.", NULL};
    *c = (kn_lora_config){.prefix = "", .alpha = NAN};
    int rc = load_json(c, file, err);
    if (rc || !c->json)
        return rc;
    const json_t *alpha = NULL;
    for (int i = 0; prefixes[i] && !alpha; i++) {
        c->prefix = prefixes[i];
        alpha = get(c, "lora_alpha");
    }
    if (!alpha)
        c->prefix = "";
    if (json_is_true(get(c, "use_dora")))
        return kn_fail(err, KN_EUNSUPPORTED, "%.200s: use_dora is true; DoRA is not supported",
                       kn_checkpoint_path(file));
    if (alpha && !json_is_number(alpha))
        return kn_fail(err, KN_EFORMAT, "%.200s: lora_alpha is not a number", kn_checkpoint_path(file));
    if (alpha)
        c->alpha = json_number_value(alpha);
    c->use_rslora = json_is_true(get(c, "use_rslora"));
    return 0;
}

void kn_lora_config_done(kn_lora_config *c)
{
    json_decref(c->json);
    *c = (kn_lora_config){0};
}

/* PEFT matches a pattern's key with the end of the module's name, from a dot on. */
static bool matches(const char *module, const char *key)
{
    size_t n = strlen(module), m = strlen(key);
    return n >= m && !strcmp(module + n - m, key) && (n == m || module[n - m - 1] == '.');
}

double kn_lora_config_scale(const kn_lora_config *c, const char *module, int64_t rank)
{
    double alpha = c->alpha;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)get(c, "alpha_pattern"), key, v)
    {
        if (json_is_number(v) && matches(module, key)) {
            alpha = json_number_value(v);
            break;
        }
    }
    if (isnan(alpha) || rank < 1)
        return 1;
    return c->use_rslora ? alpha / sqrt((double)rank) : alpha / (double)rank;
}
