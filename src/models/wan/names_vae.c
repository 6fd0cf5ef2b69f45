/* Names of the VAEs: the original repository's modules are numbered lists, diffusers' say what they are. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/wan/names.h"

typedef struct rule {
    const char *original, *canonical;
} rule;

static const rule top_rules[] = {
    {"conv1", "quant_conv"},
    {"conv2", "post_quant_conv"},
    {"encoder.conv1", "encoder.conv_in"},
    {"encoder.head.0", "encoder.norm_out"},
    {"encoder.head.2", "encoder.conv_out"},
    {"encoder.middle.0", "encoder.mid_block.resnets.0"},
    {"encoder.middle.1", "encoder.mid_block.attentions.0"},
    {"encoder.middle.2", "encoder.mid_block.resnets.1"},
    {"decoder.conv1", "decoder.conv_in"},
    {"decoder.head.0", "decoder.norm_out"},
    {"decoder.head.2", "decoder.conv_out"},
    {"decoder.middle.0", "decoder.mid_block.resnets.0"},
    {"decoder.middle.1", "decoder.mid_block.attentions.0"},
    {"decoder.middle.2", "decoder.mid_block.resnets.1"},
};

/* Inside a residual block. */
static const rule residual_rules[] = {
    {"residual.0", "norm1"}, {"residual.2", "conv1"},       {"residual.3", "norm2"},
    {"residual.6", "conv2"}, {"shortcut", "conv_shortcut"},
};

/* The rule whose original name is `name` or ends at one of its dots; *rest is what follows. */
static const rule *find_rule(const rule *rules, size_t n, const char *name, const char **rest)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(rules[i].original);
        if (!strncmp(name, rules[i].original, len) && (name[len] == '.' || !name[len])) {
            *rest = name + len;
            return &rules[i];
        }
    }
    return NULL;
}

/* What follows the block's own name: ".residual.2.weight" -> ".conv1.weight"; other tails stay as they are. */
static void inner_name(const char *tail, char *out, size_t size)
{
    const char *rest = NULL;
    const rule *r = *tail == '.' ? find_rule(residual_rules, sizeof residual_rules / sizeof *residual_rules,
                                             tail + 1, &rest)
                                 : NULL;
    if (r)
        snprintf(out, size, ".%s%s", r->canonical, rest);
    else
        snprintf(out, size, "%s", tail);
}

/* "<head>3.4.rest": reads the number behind head and, if there is one behind `inner`, that too (-1 if not). */
static bool parse_stage(const char *name, const char *head, const char *inner, int *ret_i, int *ret_j,
                        const char **ret_tail)
{
    size_t len = strlen(head);
    if (strncmp(name, head, len) != 0 || name[len] < '0' || name[len] > '9')
        return false;
    char *end;
    long i = strtol(name + len, &end, 10), j = -1;
    len = strlen(inner);
    if (!strncmp(end, inner, len) && end[len] >= '0' && end[len] <= '9')
        j = strtol(end + len, &end, 10);
    if (i > 9999 || j > 9999 || *end != '.')
        return false;
    *ret_i = (int)i;
    *ret_j = (int)j;
    *ret_tail = end;
    return true;
}

static bool is_resampler(const char *tail)
{
    return !strncmp(tail, ".resample.", 10) || !strncmp(tail, ".time_conv.", 11);
}

static const char *after_prefix(const char *name)
{
    static const char *const prefixes[] = {"first_stage_model.", "vae."};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return name + strlen(prefixes[i]);
    return name;
}

typedef struct vae_layout {
    int stage_length; /* residual blocks of a decoder stage and its upsampler, in 2.1's flat list */
} vae_layout;

static bool rename_decoder(const vae_layout *layout, const char *name, char *out, size_t size)
{
    int i, j;
    const char *tail;
    char inner[256];
    if (!parse_stage(name, "decoder.upsamples.", ".upsamples.", &i, &j, &tail))
        return false;
    inner_name(tail, inner, sizeof inner);
    if (j < 0 && is_resampler(tail)) /* 2.1 */
        snprintf(out, size, "decoder.up_blocks.%d.upsamplers.0%s", i / layout->stage_length, inner);
    else if (j < 0)
        snprintf(out, size, "decoder.up_blocks.%d.resnets.%d%s", i / layout->stage_length,
                 i % layout->stage_length, inner);
    else if (is_resampler(tail)) /* 2.2 */
        snprintf(out, size, "decoder.up_blocks.%d.upsampler%s", i, inner);
    else
        snprintf(out, size, "decoder.up_blocks.%d.resnets.%d%s", i, j, inner);
    return true;
}

static bool rename_encoder(const char *name, char *out, size_t size)
{
    int i, j;
    const char *tail;
    char inner[256];
    if (!parse_stage(name, "encoder.downsamples.", ".downsamples.", &i, &j, &tail))
        return false;
    inner_name(tail, inner, sizeof inner);
    if (j < 0) /* 2.1: diffusers keeps the flat list */
        snprintf(out, size, "encoder.down_blocks.%d%s", i, inner);
    else if (is_resampler(tail))
        snprintf(out, size, "encoder.down_blocks.%d.downsampler%s", i, inner);
    else
        snprintf(out, size, "encoder.down_blocks.%d.resnets.%d%s", i, j, inner);
    return true;
}

static int rename_vae(void *ud, const char *full, char *out, size_t size)
{
    const vae_layout *layout = ud;
    const char *name = after_prefix(full), *rest = NULL;
    const rule *r = find_rule(top_rules, sizeof top_rules / sizeof *top_rules, name, &rest);
    if (r) {
        char inner[256];
        inner_name(rest, inner, sizeof inner);
        snprintf(out, size, "%s%s", r->canonical, inner);
        return 0;
    }
    if (rename_decoder(layout, name, out, size) || rename_encoder(name, out, size))
        return 0;
    if (name == full)
        return 1;
    snprintf(out, size, "%s", name);
    return 0;
}

int kn_wan_rename_vae(kn_checkpoint *ck, kn_err *err)
{
    /* Without any upsampler there is one stage only. */
    vae_layout layout = {.stage_length = INT_MAX};
    for (int e = 0; e < kn_checkpoint_count(ck); e++) {
        int i, j;
        const char *tail, *name = after_prefix(kn_checkpoint_at(ck, e)->name);
        if (parse_stage(name, "decoder.upsamples.", ".upsamples.", &i, &j, &tail) && j < 0 &&
            is_resampler(tail) && i + 1 < layout.stage_length)
            layout.stage_length = i + 1;
    }
    return kn_checkpoint_rename(ck, rename_vae, &layout, err);
}
