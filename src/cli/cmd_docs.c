/* kinora docs: prints the man page or a shell's completion; the installation runs it. */
#include <string.h>

#include "base/mem.h"
#include "cli/docs.h"
#include "models/demo.h"

/* ---- walking the commands ---- */

typedef struct visit {
    FILE *out;
    kn_doc_fn fn;
    kn_doc doc;
} visit;

static void describe(void *ud, const kn_usage *u)
{
    visit *v = ud;
    v->doc.usage = u;
    v->fn(v->out, &v->doc);
}

static void visit_table(visit *v, const kn_command *table, const kn_command *parent)
{
    char name[64];
    for (const kn_command *c = table; c->name; c++) {
        if (!c->summary)
            continue;
        snprintf(name, sizeof name, "%s%s%s", parent ? parent->name : "", parent ? " " : "", c->name);
        v->doc = (kn_doc){.name = name, .summary = c->summary, .parent = parent};
        c->run(
            &(kn_args){.argc = 2, .argv = (char *[]){name, "--help", NULL}, .describe = describe, .ud = v});
        if (c->subs)
            visit_table(v, c->subs, c);
    }
}

void kn_docs_each(FILE *out, kn_doc_fn fn)
{
    visit_table(&(visit){.out = out, .fn = fn}, kn_commands, NULL);
}

/* ---- options ---- */

kn_doc_option kn_doc_of_param(const kn_param *p)
{
    kn_doc_option o = {.metavar = p->metavar, .help = p->help, .choices = p->choices};
    snprintf(o.name, sizeof o.name, "%s", p->name);
    for (char *c = o.name; *c; c++)
        *c = *c == '_' ? '-' : *c;
    bool is_file = p->type == KN_PARAM_FILE || p->type == KN_PARAM_FILES || p->type == KN_PARAM_LORAS;
    if (is_file)
        o.kind = strcmp(p->name, "model") == 0 ? KN_DOC_MODEL
                 : strcmp(p->metavar, "DIR")   ? KN_DOC_FILE
                                               : KN_DOC_DIR;
    o.is_repeatable = p->type == KN_PARAM_FILES || p->type == KN_PARAM_TEXTS || p->type == KN_PARAM_REALS ||
                      p->type == KN_PARAM_LORAS;
    return o;
}

kn_doc_option kn_doc_of_switch(const kn_switch *s)
{
    kn_doc_option o = {.metavar = s->metavar, .help = s->help};
    snprintf(o.name, sizeof o.name, "%s", s->name);
    if (s->metavar && strcmp(s->metavar, "FILE") == 0)
        o.kind = KN_DOC_FILE;
    if (s->metavar && (strcmp(s->metavar, "DIR") == 0 || strcmp(s->metavar, "FOLDER") == 0))
        o.kind = KN_DOC_DIR;
    return o;
}

void kn_doc_options(FILE *out, const kn_doc *d, bool with_params, kn_doc_option_fn fn)
{
    for (const kn_param *p = kn_params; with_params && d->usage->has_params && p->name; p++) {
        kn_doc_option o = kn_doc_of_param(p);
        fn(out, d, &o);
    }
    for (const kn_switch *s = d->usage->switches; s && s->name; s++) {
        kn_doc_option o = kn_doc_of_switch(s);
        fn(out, d, &o);
    }
    fn(out, d, &(kn_doc_option){.name = "help", .help = "lists the options"});
}

bool kn_doc_takes_files(const kn_doc *d)
{
    const char *word = d->usage->usage + strcspn(d->usage->usage, " ");
    word += *word == ' ';
    word += *word == '[';
    size_t n = strcspn(word, " ]\n");
    return n >= 4 && strncmp(word + n - 4, "FILE", 4) == 0 && *word != '-';
}

void kn_doc_model_names(FILE *out)
{
    fprintf(out, "%s", KN_DEMO_NAME);
    for (int i = 0; kn_models[i]; i++)
        if (kn_models[i]->is_builtin)
            fprintf(out, " %s", kn_models[i]->name);
}

void kn_doc_choices(FILE *out, const char *choices)
{
    for (const char *c = choices; *c; c++)
        fputc(*c == '|' ? ' ' : *c, out);
}

/* ---- the command ---- */

static const struct {
    const char *name;
    void (*print)(FILE *out);
} kinds[] = {{"man", kn_docs_man}, {"bash", kn_docs_bash}, {"zsh", kn_docs_zsh}, {"fish", kn_docs_fish}};

int kn_cmd_docs(const kn_args *a)
{
    static const kn_switch switches[] = {{0}};
    bool help = false;
    const char *kind = NULL;
    kn_err err = {0};
    int rc = kn_args_parse(a, NULL, switches, &kind, 1, &help, &err);
    if (help) {
        kn_args_help(a, &(kn_usage){"docs man|bash|zsh|fish", switches, false, NULL, NULL});
        return 0;
    }
    for (size_t i = 0; !rc && kind && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, kind) == 0) {
            kinds[i].print(stdout);
            return fflush(stdout) || ferror(stdout)
                       ? (kn_fail(&err, KN_EIO, "cannot write"), kn_cli_fail(&err))
                       : 0;
        }
    if (!rc)
        kn_fail(&err, KN_EINVAL, "\"%.32s\", expected man, bash, zsh or fish", kind ? kind : "");
    return kn_cli_fail(&err);
}
