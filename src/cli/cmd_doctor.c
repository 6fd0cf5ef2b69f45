/* kinora doctor: what this machine offers, and what to do about what it lacks. */
#include <stdint.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "engine/hardware.h"
#include "media/sink.h"

static void add_encoder(void *ud, const char *name, const char *writes, const char *why_not)
{
    json_object_set_new(
        ud, name, json_pack("{s:b, s:s, s:s}", "works", !*why_not, "writes", writes, "reason", why_not));
}

static bool encodes(const json_t *encoders, const char *name)
{
    return json_is_true(json_object_get(json_object_get(encoders, name), "works"));
}

static void advise(json_t *list, const kn_device *dev, const kn_gpus *gpus, const json_t *encoders)
{
    json_t *idle = kn_gpus_why_idle(gpus, dev);
    if (idle)
        json_array_append_new(list, idle);
    if (!dev->has_bf16)
        json_array_append_new(
            list, json_string("this processor has no bf16 arithmetic: f32 is the default and slower"));
    if (dev->has_int8)
        json_array_append_new(
            list, json_string("--dtype int8 computes the denoiser faster here, at a small cost in quality"));
    if (!encodes(encoders, "libx264"))
        json_array_append_new(
            list,
            json_string("libx264 does not work: install libavcodec-extra, or videos may be of a kind that "
                        "browsers do not play"));
    if (dev->mem_total_bytes < (8ull << 30))
        json_array_append_new(
            list,
            json_string("less than 8 GB of memory: large models are read from the disk at each step, which "
                        "takes long; kinora plan says how long"));
}

static json_t *examine(kn_device *dev, kn_err *err)
{
    char versions[512], compute[64];
    kn_rates bf16 = {0}, f32 = {0}, int8 = {0};
    json_t *encoders = json_object(), *advice = json_array(), *rates = json_object();
    kn_media_encoders(add_encoder, encoders);
    kn_gpus gpus;
    kn_gpus_find(NULL, NULL, &gpus);
    advise(advice, dev, &gpus, encoders);
    if (!kn_rates_measure(dev, KN_F32, &f32, err))
        json_object_set_new(rates, "f32", json_real(f32.flops[KN_WORK_LINEAR] * 1e-9));
    if (dev->has_bf16 && !kn_rates_measure(dev, KN_BF16, &bf16, err))
        json_object_set_new(rates, "bf16", json_real(bf16.flops[KN_WORK_LINEAR] * 1e-9));
    if (dev->has_int8 && !kn_rates_measure(dev, KN_I8, &int8, err))
        json_object_set_new(rates, "int8", json_real(int8.flops[KN_WORK_LINEAR] * 1e-9));
    return json_pack("{s:s, s:s, s:s, s:I, s:b, s:b, s:o?, s:o, s:s, s:s, s:s, s:o, s:o}", "kinora",
                     KN_VERSION, "device", dev->name, "description", dev->description, "mem_total_bytes",
                     (json_int_t)dev->mem_total_bytes, "bf16", dev->has_bf16, "int8", dev->has_int8,
                     "hardware", kn_hardware_to_json(dev->description, &gpus), "linear_gflops", rates,
                     "compute", kn_cpu_versions(compute, sizeof compute), "jansson", JANSSON_VERSION, "media",
                     kn_media_versions(versions, sizeof versions), "encoders", encoders, "advice", advice);
}

static void print_hardware(const json_t *h)
{
    size_t i;
    json_t *v;
    char a[32], b[32];
    json_array_foreach(json_object_get(h, "gpus"), i, v)
        printf("gpu        %s %s, %s of %s free\n", json_string_value(json_object_get(v, "vendor")),
               json_string_value(json_object_get(v, "name")),
               kn_format_bytes(json_number_value(json_object_get(v, "free_bytes")), a, sizeof a),
               kn_format_bytes(json_number_value(json_object_get(v, "total_bytes")), b, sizeof b));
    if (!json_array_size(json_object_get(h, "gpus")))
        printf("gpu        none%s%s\n", *json_string_value(json_object_get(h, "gpus_note")) ? ": " : "",
               json_string_value(json_object_get(h, "gpus_note")));
    json_array_foreach(json_object_get(h, "disks"), i, v)
        printf("disk       %s for %s, %s free: %s\n", json_string_value(json_object_get(v, "kind")),
               json_string_value(json_object_get(v, "use")),
               kn_format_bytes(json_number_value(json_object_get(v, "free_bytes")), a, sizeof a),
               json_string_value(json_object_get(v, "path")));
}

/* In the order they are tried. */
static void print_encoders(const json_t *encoders)
{
    const char *name, *title = "encoders";
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)encoders, name, v)
    {
        const char *reason = json_string_value(json_object_get(v, "reason"));
        printf("%-10s %-12s %-10s %s%s\n", title, name, json_string_value(json_object_get(v, "writes")),
               *reason ? "no: " : "works", reason);
        title = "";
    }
}

static void print_text(const json_t *o, const kn_device *dev)
{
    char mem[32], free_mem[32];
    const char *key;
    json_t *v;
    size_t i;
    printf("kinora     %s\nprocessor  %s\nmemory     %s, %s free\n", KN_VERSION, dev->description,
           kn_format_bytes((double)dev->mem_total_bytes, mem, sizeof mem),
           kn_format_bytes((double)dev->mem_available_bytes, free_mem, sizeof free_mem));
    print_hardware(json_object_get(o, "hardware"));
    json_object_foreach(json_object_get(o, "linear_gflops"), key, v)
        printf("%-10s %.0f GFLOP/s in matrix products (quick measurement)\n", key, json_real_value(v));
    printf("libraries  %s, %s, jansson %s\n", json_string_value(json_object_get(o, "compute")),
           json_string_value(json_object_get(o, "media")), JANSSON_VERSION);
    print_encoders(json_object_get(o, "encoders"));
    json_array_foreach(json_object_get(o, "advice"), i, v) printf("advice     %s\n", json_string_value(v));
}

int kn_cmd_doctor(const kn_args *a)
{
    bool json = false, help = false;
    const kn_switch switches[] = {{"json", NULL, "one JSON object", &json, NULL}, {0}};
    kn_err err = {0};
    kn_device *dev = NULL;
    int rc = kn_args_parse(a, NULL, switches, NULL, 0, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"doctor", switches, false, NULL, NULL});
        return 0;
    }
    if (!rc)
        rc = kn_device_open(NULL, &(kn_cpu_options){0}, &dev, &err);
    if (rc)
        return kn_cli_fail(&err);
    json_t *o = examine(dev, &err);
    if (json) {
        char *text = json_dumps(o, JSON_INDENT(2) | KN_JSON_DIGITS);
        printf("%s\n", text ? text : "{}");
        free(text);
    } else {
        print_text(o, dev);
    }
    json_decref(o);
    kn_device_close(dev);
    return 0;
}
