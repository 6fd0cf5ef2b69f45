/* Names of T5 encoders: transformers' are ours; Wan's own files, llama.cpp's GGUF and ComfyUI's prefixes are turned
 * into them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/common/t5.h"

const char *const kn_t5_ignore[] = {
    "spiece_model", /* ComfyUI: the tokenizer's model file as a tensor */
    "tokenizer_json",
    "scaled_fp8", /* ComfyUI: a marker */
    "decoder.",
    "lm_head.",              /* of encoder-decoder checkpoints */
    "encoder.embed_tokens.", /* the same table as shared */
    NULL,
};

typedef struct rule {
    const char *from, *to;
} rule;

static const rule top_rules[] = {
    {"token_embedding", "shared"},
    {"norm", "encoder.final_layer_norm"},
    {"token_embd", "shared"},
    {"enc.output_norm", "encoder.final_layer_norm"},
};

static const rule block_rules[] = {
    /* Wan: blocks.N. */
    {"attn.q", "layer.0.SelfAttention.q"},
    {"attn.k", "layer.0.SelfAttention.k"},
    {"attn.v", "layer.0.SelfAttention.v"},
    {"attn.o", "layer.0.SelfAttention.o"},
    {"pos_embedding.embedding", "layer.0.SelfAttention.relative_attention_bias"},
    {"norm1", "layer.0.layer_norm"},
    {"norm2", "layer.1.layer_norm"},
    {"ffn.gate.0", "layer.1.DenseReluDense.wi_0"},
    {"ffn.fc1", "layer.1.DenseReluDense.wi_1"},
    {"ffn.fc2", "layer.1.DenseReluDense.wo"},
    /* llama.cpp: enc.blk.N. */
    {"attn_q", "layer.0.SelfAttention.q"},
    {"attn_k", "layer.0.SelfAttention.k"},
    {"attn_v", "layer.0.SelfAttention.v"},
    {"attn_o", "layer.0.SelfAttention.o"},
    {"attn_rel_b", "layer.0.SelfAttention.relative_attention_bias"},
    {"attn_norm", "layer.0.layer_norm"},
    {"ffn_norm", "layer.1.layer_norm"},
    {"ffn_gate", "layer.1.DenseReluDense.wi_0"},
    {"ffn_up", "layer.1.DenseReluDense.wi_1"},
    {"ffn_down", "layer.1.DenseReluDense.wo"},
};

static const char *const prefixes[] = {
    "text_encoders.umt5xxl.transformer.",
    "text_encoders.t5xxl.transformer.",
    "text_encoder.",
};

static const char *after_prefix(const char *name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return name + strlen(prefixes[i]);
    return name;
}

/* The rule whose `from` is name or ends at one of its dots; *rest is what follows. */
static const rule *find_rule(const rule *rules, size_t n, const char *name, const char **rest)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(rules[i].from);
        if (!strncmp(name, rules[i].from, len) && (name[len] == '.' || !name[len])) {
            *rest = name + len;
            return &rules[i];
        }
    }
    return NULL;
}

/* "blocks.12.rest" -> 12 and "rest"; -1 without such a head. */
static long block_index(const char *name, const char *head, const char **rest)
{
    size_t len = strlen(head);
    if (strncmp(name, head, len) || name[len] < '0' || name[len] > '9')
        return -1;
    char *end;
    long i = strtol(name + len, &end, 10);
    if (*end != '.' || i > 9999)
        return -1;
    *rest = end + 1;
    return i;
}

typedef struct rename_state {
    bool has_shared; /* else encoder.embed_tokens is the only table */
} rename_state;

static int rename_one(void *ud, const char *full, char *out, size_t size)
{
    const rename_state *s = ud;
    const char *name = after_prefix(full), *rest = NULL;
    const rule *r = find_rule(top_rules, sizeof top_rules / sizeof *top_rules, name, &rest);
    if (r)
        return snprintf(out, size, "%s%s", r->to, rest) < 0;
    if (!s->has_shared && !strcmp(name, "encoder.embed_tokens.weight"))
        return snprintf(out, size, "shared.weight") < 0;
    long i = block_index(name, "blocks.", &rest);
    if (i < 0)
        i = block_index(name, "enc.blk.", &rest);
    if (i >= 0) {
        r = find_rule(block_rules, sizeof block_rules / sizeof *block_rules, rest, &rest);
        if (r)
            return snprintf(out, size, "encoder.block.%ld.%s%s", i, r->to, rest) < 0;
    }
    if (name == full)
        return 1;
    return snprintf(out, size, "%s", name) < 0;
}

int kn_t5_rename(kn_checkpoint *ck, kn_err *err)
{
    static const char *const tables[] = {"shared.weight", "token_embedding.weight", "token_embd.weight"};
    rename_state s = {false};
    for (int i = 0; i < kn_checkpoint_count(ck); i++)
        for (size_t j = 0; j < sizeof tables / sizeof *tables; j++)
            s.has_shared |= !strcmp(after_prefix(kn_checkpoint_at(ck, i)->name), tables[j]);
    return kn_checkpoint_rename(ck, rename_one, &s, err);
}
