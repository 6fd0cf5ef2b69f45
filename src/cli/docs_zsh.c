/* The completion of zsh. */
#include <string.h>

#include "cli/docs.h"

/* Text inside '...', in a place where `special` characters have a meaning. */
static void put(FILE *out, const char *text, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fprintf(out, "%s%c", *text == '\\' || strchr(special, *text) ? "\\" : "", *text);
    }
}

static void put_option(FILE *out, const kn_doc *d, const kn_doc_option *o)
{
    (void)d;
    fprintf(out, " \\\n            '%s--%s%s[", o->is_repeatable ? "*" : "", o->name, o->metavar ? "=" : "");
    put(out, o->help, "[]:");
    fputc(']', out);
    if (o->metavar) {
        fputc(':', out);
        put(out, o->metavar, "[]:");
        fputc(':', out);
    }
    if (o->choices) {
        fputc('(', out);
        kn_doc_choices(out, o->choices);
        fputc(')', out);
    } else if (o->kind == KN_DOC_MODEL) {
        fputs("{compadd ", out);
        kn_doc_model_names(out);
        fputs("; _files}", out);
    } else if (o->kind != KN_DOC_OTHER) {
        fputs(o->kind == KN_DOC_DIR ? "_files -/" : "_files", out);
    }
    fputc('\'', out);
}

static void put_case(FILE *out, const kn_doc *d)
{
    fprintf(out, "    '%s')\n        _arguments", d->name);
    kn_doc_options(out, d, true, put_option);
    if (d->usage->has_params)
        fputs(" \\\n            '-o[where the video goes]:FILE:_files'", out);
    if (kn_doc_takes_files(d))
        fputs(" \\\n            '*:FILE:_files'", out);
    fputs("\n        ;;\n", out);
}

static void put_commands(FILE *out, const kn_command *table, const char *name)
{
    fprintf(out, "    local -a %s=(\n", name);
    for (const kn_command *c = table; c->name; c++) {
        if (!c->summary)
            continue;
        fprintf(out, "        '%s:", c->name);
        put(out, c->summary, ":");
        fputs("'\n", out);
    }
    fputs("    )\n", out);
}

static void put_subs(FILE *out)
{
    for (const kn_command *c = kn_commands; c->name; c++) {
        if (!c->subs)
            continue;
        fprintf(out, "    if [[ $command == %s && $words[1] != -* ]]; then\n    ", c->name);
        put_commands(out, c->subs, "subs");
        fputs("        if ((CURRENT == 1)); then\n            _describe -t commands 'kinora command' subs\n"
              "            return\n        fi\n        command=\"$command $words[1]\"\n        shift words\n"
              "        ((CURRENT--))\n    fi\n",
              out);
    }
}

/* _arguments counts from the command: the word before the first one that is looked at. */
void kn_docs_zsh(FILE *out)
{
    fputs("#compdef kinora\n# Completion of kinora for zsh, made by `kinora docs zsh`.\n\n_kinora()\n{\n",
          out);
    put_commands(out, kn_commands, "commands");
    fputs("    if ((CURRENT == 2)); then\n        _describe -t commands 'kinora command' commands\n"
          "        return\n    fi\n    local command=$words[2]\n    shift 2 words\n    ((CURRENT -= 2))\n"
          "    if [[ $command == help ]]; then\n        _describe -t commands 'kinora command' commands\n"
          "        return\n    fi\n",
          out);
    put_subs(out);
    fputs("    words=(\"$command\" \"${(@)words}\")\n    ((CURRENT++))\n    case $command in\n", out);
    kn_docs_each(out, put_case);
    fputs("    esac\n}\n\n_kinora \"$@\"\n", out);
}
