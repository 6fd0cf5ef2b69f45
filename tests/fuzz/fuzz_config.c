/* The input is read as every JSON file that a model folder or a client sends: each reader takes or refuses it.  What a
 * reader takes is then used: schedules are computed, and weights of those sizes are laid out on `meta`, so that a
 * size that passed the reader and overflows later is found. */
#include <stdint.h>
#include <stdlib.h>

#include "engine/model_defaults.h"
#include "engine/scheduler.h"
#include "models/common/clip_vision.h"
#include "models/common/t5.h"
#include "models/wan/inputs.h"
#include "models/wan/transformer.h"
#include "models/wan/vae.h"
#include "tensor/device.h"

enum { STEPS = 7, LATENTS = 5, MAX_LAYERS = 4 };

/* Opened once: the fuzzer's process is its owner. */
static kn_device *meta_device(void)
{
    static kn_device *like, *meta;
    if (!meta) {
        kn_err err = {0};
        if (kn_cpu_device_open(&(kn_cpu_options){.n_threads = 1}, &like, &err) ||
            kn_meta_device_open(like, &meta, &err))
            abort();
    }
    return meta;
}

typedef struct target {
    kn_weight_set set;
    kn_checkpoint *ck;
    kn_loader loader;
} target;

static void target_open(target *t)
{
    kn_err err = {0};
    kn_weight_set_init(&t->set, meta_device());
    if (kn_checkpoint_random(1, &t->ck, &err))
        abort();
    kn_loader_init(&t->loader, &t->set, t->ck, NULL, KN_BF16);
}

static void target_close(target *t)
{
    kn_weight_set_done(&t->set);
    kn_checkpoint_close(t->ck);
}

static void read_transformer(const json_t *obj)
{
    kn_wan_config config;
    kn_wan_transformer m = {0};
    kn_err err = {0};
    target t;
    if (kn_wan_config_read(obj, "fuzz", &config, &err) || config.n_layers > MAX_LAYERS)
        return;
    target_open(&t);
    kn_wan_transformer_load(&m, &config, KN_ALL_BLOCKS, &t.loader);
    kn_wan_transformer_done(&m);
    target_close(&t);
}

static void read_vae(const json_t *obj)
{
    kn_wan_vae_config config;
    kn_wan_vae vae;
    kn_err err = {0};
    target t;
    if (kn_wan_vae_config_read(obj, "fuzz", &config, &err))
        return;
    target_open(&t);
    kn_wan_vae_load(&vae, &config, &t.loader, KN_WAN_VAE_ENCODER | KN_WAN_VAE_DECODER);
    target_close(&t);
}

static void read_text_encoder(const json_t *obj)
{
    kn_t5_config config;
    kn_t5 m = {0};
    kn_err err = {0};
    target t;
    if (kn_t5_config_read(obj, "fuzz", &config, &err) || config.n_layers > MAX_LAYERS)
        return;
    target_open(&t);
    kn_t5_load(&m, &config, KN_ALL_BLOCKS, &t.loader);
    kn_t5_done(&m);
    target_close(&t);
}

static void read_image_encoder(const json_t *obj)
{
    kn_clip_vision_config config;
    kn_clip_vision m = {0};
    kn_err err = {0};
    target t;
    if (kn_clip_vision_config_read(obj, "fuzz", &config, &err) || config.n_layers > MAX_LAYERS)
        return;
    target_open(&t);
    kn_clip_vision_load(&m, &config, &t.loader);
    kn_clip_vision_done(&m);
    target_close(&t);
}

static void read_scheduler(const json_t *obj)
{
    kn_scheduler_config config;
    kn_scheduler *s = NULL;
    kn_err err = {0};
    float sample[LATENTS] = {1, -1, 0.5f, 0, 2}, velocity[LATENTS] = {0.1f, 0.2f, -0.3f, 0, 1};
    if (kn_scheduler_config_read(obj, "fuzz", &config, &err) ||
        kn_scheduler_new(&config, STEPS, LATENTS, &s, &err))
        return;
    for (int i = 0; i < STEPS; i++)
        kn_scheduler_step(s, i, sample, velocity);
    kn_scheduler_free(s);
}

static void read_request(const json_t *obj)
{
    kn_request rq, copy;
    kn_err err = {0};
    kn_request_init(&rq);
    kn_request_init(&copy);
    if (!kn_request_from_json(&rq, obj, &err) && !kn_request_copy(&rq, &copy, &err))
        json_decref(kn_request_to_json(&copy));
    kn_request_done(&rq);
    kn_request_done(&copy);
}

/* As kinora.json of a model folder, over a request that leaves everything open. */
static void read_model_defaults(const json_t *obj)
{
    kn_model_defaults d;
    kn_request rq;
    kn_err err = {0};
    if (kn_model_defaults_read(obj, "fuzz", &d, &err))
        return;
    kn_request_init(&rq);
    if (!kn_model_defaults_apply(&d, &rq, &err))
        json_decref(kn_request_to_json(&rq));
    kn_request_done(&rq);
    kn_model_defaults_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *obj = NULL;
    kn_err err = {0};
    kn_wan_clip_pixels pixels;
    if (kn_json_parse((const char *)data, size, "fuzz", &obj, &err))
        return 0;
    read_transformer(obj);
    read_vae(obj);
    read_text_encoder(obj);
    read_image_encoder(obj);
    read_scheduler(obj);
    read_request(obj);
    read_model_defaults(obj);
    (void)kn_wan_clip_pixels_read(obj, "fuzz", &pixels, &err);
    json_decref(obj);
    return 0;
}
