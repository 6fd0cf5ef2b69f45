/* The completion of fish. */
#include <string.h>

#include "cli/docs.h"

/* '...' */
static void put_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        fprintf(out, "%s%c", *text == '\\' || *text == '\'' ? "\\" : "", *text);
    fputc('\'', out);
}

/* When the words before are those of the command. */
static void put_condition(FILE *out, const kn_doc *d)
{
    const char *sub = strchr(d->name, ' ');
    fprintf(out, "complete -c kinora -n '__fish_seen_subcommand_from %.*s",
            sub ? (int)(sub - d->name) : (int)strlen(d->name), d->name);
    if (sub)
        fprintf(out, "; and __fish_seen_subcommand_from%s", sub);
    else if (d->usage->subs) {
        fputs("; and not __fish_seen_subcommand_from", out);
        for (const kn_command *c = d->usage->subs; c->name; c++)
            fprintf(out, " %s", c->name);
    }
    fputc('\'', out);
}

static void put_option(FILE *out, const kn_doc *d, const kn_doc_option *o)
{
    put_condition(out, d);
    fprintf(out, " -l %s", o->name);
    if (o->choices || o->kind == KN_DOC_MODEL) {
        fputs(o->choices ? " -x -a '" : " -r -F -a '", out);
        if (o->choices)
            kn_doc_choices(out, o->choices);
        else
            kn_doc_model_names(out);
        fputc('\'', out);
    } else if (o->metavar) {
        fputs(o->kind == KN_DOC_FILE  ? " -r -F"
              : o->kind == KN_DOC_DIR ? " -x -a '(__fish_complete_directories)'"
                                      : " -x",
              out);
    }
    fputs(" -d ", out);
    put_quoted(out, o->help);
    fputc('\n', out);
}

static void put_command(FILE *out, const kn_doc *d)
{
    if (!d->parent) {
        fprintf(out, "complete -c kinora -n __fish_use_subcommand -a %s -d ", d->name);
        put_quoted(out, d->summary);
        fputc('\n', out);
    }
    for (const kn_command *c = d->usage->subs; c && c->name; c++) {
        put_condition(out, d);
        fprintf(out, " -a %s -d ", c->name);
        put_quoted(out, c->summary);
        fputc('\n', out);
    }
    kn_doc_options(out, d, true, put_option);
    if (d->usage->has_params) {
        put_condition(out, d);
        fputs(" -s o -r -F -d 'where the video goes'\n", out);
    }
    if (kn_doc_takes_files(d)) {
        put_condition(out, d);
        fputs(" -F\n", out);
    }
}

void kn_docs_fish(FILE *out)
{
    fputs("# Completion of kinora for fish, made by `kinora docs fish`.\n\ncomplete -c kinora -f\n"
          "complete -c kinora -n __fish_use_subcommand -a help -d 'lists the commands'\n",
          out);
    kn_docs_each(out, put_command);
}
