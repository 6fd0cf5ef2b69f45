/* The completion of bash. */
#include "cli/docs.h"

static void put_name(FILE *out, const kn_doc *d, const kn_doc_option *o)
{
    (void)d;
    fprintf(out, " --%s", o->name);
}

static void put_value(FILE *out, const kn_doc_option *o, const char *indent)
{
    if (!o->metavar)
        return;
    fprintf(out, "%s--%s) ", indent, o->name);
    if (o->kind != KN_DOC_OTHER)
        fprintf(out, "_kinora_files %s; ", o->kind == KN_DOC_DIR ? "-d" : "-f");
    if (o->choices || o->kind == KN_DOC_MODEL)
        fputs("_kinora_words \"", out);
    if (o->choices)
        kn_doc_choices(out, o->choices);
    if (o->kind == KN_DOC_MODEL)
        kn_doc_model_names(out);
    fprintf(out, "%sreturn 0 ;;\n", o->choices || o->kind == KN_DOC_MODEL ? "\"; " : "");
}

static void put_switch_value(FILE *out, const kn_doc *d, const kn_doc_option *o)
{
    (void)d;
    put_value(out, o, "            ");
}

static void put_case(FILE *out, const kn_doc *d)
{
    fprintf(out, "    \"%s\")\n        options=\"", d->name);
    kn_doc_options(out, d, false, put_name);
    fprintf(out, "%s\"\n        case $prev in\n", d->usage->has_params ? " $params" : "");
    kn_doc_options(out, d, false, put_switch_value);
    fprintf(out, "        esac\n");
    if (d->usage->has_params)
        fprintf(out, "        _kinora_param && return\n");
    if (kn_doc_takes_files(d))
        fprintf(out, "        [[ $cur != -* ]] && _kinora_files -f && return\n");
    fprintf(out, "        ;;\n");
}

static void put_names(FILE *out, const kn_command *table)
{
    const char *space = "";
    for (const kn_command *c = table; c->name; c++)
        if (c->summary) {
            fprintf(out, "%s%s", space, c->name);
            space = " ";
        }
}

/* The words below a command, and the two together as one. */
static void put_subs(FILE *out)
{
    for (const kn_command *c = kn_commands; c->name; c++) {
        if (!c->subs)
            continue;
        fprintf(
            out,
            "    %s)\n        if ((COMP_CWORD == 2)) && [[ $cur != -* ]]; then\n            _kinora_words \"",
            c->name);
        put_names(out, c->subs);
        fprintf(out,
                "\"\n            return\n        fi\n        [[ ${COMP_WORDS[2]} == -* ]] || command=\"%s "
                "${COMP_WORDS[2]}\"\n        ;;\n",
                c->name);
    }
}

static void put_params(FILE *out)
{
    fputs("# The value of a parameter of a video; fails where it is none.\n_kinora_param()\n{\n    case "
          "$prev in\n",
          out);
    for (const kn_param *p = kn_params; p->name; p++) {
        kn_doc_option o = kn_doc_of_param(p);
        put_value(out, &o, "    ");
    }
    fputs("    -o) _kinora_files -f; return 0 ;;\n    esac\n    return 1\n}\n\n", out);
}

void kn_docs_bash(FILE *out)
{
    fputs("# Completion of kinora for bash, made by `kinora docs bash`.\n\n"
          "_kinora_words()\n{\n    COMPREPLY+=($(compgen -W \"$1\" -- \"$cur\"))\n}\n\n"
          "_kinora_files()\n{\n    local file\n    compopt -o filenames 2>/dev/null\n"
          "    while IFS= read -r file; do\n        COMPREPLY+=(\"$file\")\n"
          "    done < <(compgen \"$1\" -- \"$cur\")\n    return 0\n}\n\n",
          out);
    put_params(out);
    fputs("_kinora()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local command=${COMP_WORDS[1]} options= params=\"",
          out);
    for (const kn_param *p = kn_params; p->name; p++) {
        kn_doc_option o = kn_doc_of_param(p);
        fprintf(out, "%s--%s", p == kn_params ? "" : " ", o.name);
    }
    fputs("\"\n    COMPREPLY=()\n    # --name=value comes as three words\n    if [[ $cur == = ]]; then\n     "
          "   cur=\n"
          "    elif [[ $prev == = ]]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi\n"
          "    if ((COMP_CWORD == 1)); then\n        _kinora_words \"",
          out);
    put_names(out, kn_commands);
    fputs(" help version --help --version\"\n        return\n    fi\n    case $command in\n    help)\n       "
          " _kinora_words \"",
          out);
    put_names(out, kn_commands);
    fputs("\"\n        return\n        ;;\n", out);
    put_subs(out);
    fputs("    esac\n    case $command in\n", out);
    kn_docs_each(out, put_case);
    fputs("    esac\n    _kinora_words \"$options\"\n}\n\ncomplete -F _kinora kinora\n", out);
}
