/* The man page and the shells' completions, made from the tables that --help prints. */
#ifndef KN_CLI_DOCS_H
#define KN_CLI_DOCS_H

#include "cli/cli.h"

/* A command, or one below another ("queue add"). */
typedef struct kn_doc {
    const char *name, *summary;
    const kn_command *parent; /* NULL: none */
    const kn_usage *usage;
} kn_doc;
typedef void (*kn_doc_fn)(FILE *out, const kn_doc *d);
/* Calls fn for every command that is for people, in the order of --help. */
void kn_docs_each(FILE *out, kn_doc_fn fn);

/* An option of either kind, its name as it is typed: "negative-prompt". */
typedef struct kn_doc_option {
    char name[64];
    const char *metavar, *help, *choices; /* metavar NULL: takes no value; choices may be NULL */
    enum { KN_DOC_OTHER, KN_DOC_FILE, KN_DOC_DIR, KN_DOC_MODEL } kind; /* of the value */
    bool is_repeatable;
} kn_doc_option;
kn_doc_option kn_doc_of_param(const kn_param *p);
kn_doc_option kn_doc_of_switch(const kn_switch *s);
/* The command's own options and --help; with_params: after the request's parameters, if it takes them. */
typedef void (*kn_doc_option_fn)(FILE *out, const kn_doc *d, const kn_doc_option *o);
void kn_doc_options(FILE *out, const kn_doc *d, bool with_params, kn_doc_option_fn fn);
/* The files that the command itself takes, as `kinora info FILE` does. */
bool kn_doc_takes_files(const kn_doc *d);
/* Names that --model takes anywhere, separated by spaces. */
void kn_doc_model_names(FILE *out);
/* "a|b" as "a b". */
void kn_doc_choices(FILE *out, const char *choices);

void kn_docs_man(FILE *out);
void kn_docs_bash(FILE *out);
void kn_docs_zsh(FILE *out);
void kn_docs_fish(FILE *out);

#endif
