/* The man page. */
#include <string.h>

#include "cli/docs.h"

/* Text as roff shows it: nothing of it is a request or an escape. */
static void put(FILE *out, const char *text, size_t n)
{
    bool at_start = true;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (at_start && (c == '.' || c == '\''))
            fputs("\\&", out);
        if (c == '\\')
            fputs("\\e", out);
        else if (c == '-')
            fputs("\\-", out);
        else if (c == '\'')
            fputs("\\(aq", out);
        else if (c == '^' || c == '~' || c == '`')
            fprintf(out, "\\(%s", c == '^' ? "ha" : c == '~' ? "ti" : "ga");
        else
            fputc(c, out);
        at_start = c == '\n';
    }
}

static void put_text(FILE *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_option(FILE *out, const kn_doc *d, const kn_doc_option *o)
{
    (void)d;
    fputs(".TP\n\\fB\\-\\-", out);
    put_text(out, o->name);
    fputs("\\fR", out);
    if (o->metavar) {
        fputs(" \\fI", out);
        put_text(out, o->choices ? o->choices : o->metavar);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    put_text(out, o->help);
    fputc('\n', out);
}

/* Each line of a usage on its own. */
static void put_usage(FILE *out, const char *usage)
{
    for (const char *line = usage; *line;) {
        size_t n = strcspn(line, "\n");
        fputs(".br\n", out);
        if (line == usage)
            fputs("kinora ", out);
        put(out, line + (line == usage ? 0 : strspn(line, " ")), n - (line == usage ? 0 : strspn(line, " ")));
        fputc('\n', out);
        line += n + (line[n] == '\n');
    }
}

static void put_synopsis(FILE *out, const kn_doc *d)
{
    put_usage(out, d->usage->usage);
}

static void put_command(FILE *out, const kn_doc *d)
{
    fprintf(out, ".SS kinora %s\n", d->name);
    put_text(out, d->summary);
    fputs(".\n", out);
    put_usage(out, d->usage->usage);
    if (d->usage->notes) {
        fputs(".PP\n", out);
        put_text(out, d->usage->notes);
        fputc('\n', out);
    }
    if (d->usage->has_params)
        fputs(".PP\nIt takes the parameters below, and:\n", out);
    kn_doc_options(out, d, false, put_option);
}

static void put_params(FILE *out)
{
    fputs(".SH PARAMETERS\nWhat a video is to be. What is left open is the model\\(aqs own default.\n", out);
    for (const kn_param *p = kn_params; p->name; p++) {
        kn_doc_option o = kn_doc_of_param(p);
        put_option(out, NULL, &o);
    }
}

static void put_pairs(FILE *out, const char *title, const char *const (*pairs)[2], size_t n)
{
    fprintf(out, ".SH %s\n", title);
    for (size_t i = 0; i < n; i++) {
        fputs(".TP\n\\fB", out);
        put_text(out, pairs[i][0]);
        fputs("\\fR\n", out);
        put_text(out, pairs[i][1]);
        fputc('\n', out);
    }
}

static const char *const variables[][2] = {
    {"KINORA_TOKEN", "what clients of kinora serve must show, and what the commands of the studio show it"},
    {"KINORA_SERVER",
     "address of the server that the studio's commands talk to, unless --server or --data-dir says it"},
    {"KINORA_DATA_DIR", "the studio's data folder (else $XDG_DATA_HOME/kinora, else ~/.local/share/kinora)"},
    {"KINORA_STATE_DIR",
     "what interrupted runs are resumed from (else $XDG_STATE_HOME/kinora, else ~/.local/state/kinora)"},
    {"KINORA_CACHE_DIR", "what can be made again (else $XDG_CACHE_HOME/kinora, else ~/.cache/kinora)"},
    {"KINORA_DEMO_DIR", "the demo model, where it is not beside the program"},
    {"HF_TOKEN, HF_ENDPOINT", "Hugging Face: the token for gated models, and another address than its own"},
};

static const char *const files[][2] = {
    {"DATA/studio.db", "the queue and the settings"},
    {"DATA/server.json", "where the server listens, while it runs"},
    {"DATA/models, DATA/outputs, DATA/logs", "models by their names, finished videos, the log"},
};

static void put_exit_codes(FILE *out)
{
    fputs(".SH EXIT STATUS\n.TP\n\\fB0\\fR\nsuccess\n", out);
#define X(sym, value, http, exit_code, text) fprintf(out, ".TP\n\\fB%d\\fR\n%s\n", exit_code, text);
    KN_ERR_LIST(X)
#undef X
}

void kn_docs_man(FILE *out)
{
    fputs(".\\\" Made by `kinora docs man`.\n.TH KINORA 1 \"\" \"Kinora " KN_VERSION "\" \"User Commands\"\n"
          ".SH NAME\nkinora \\- local AI video studio\n.SH SYNOPSIS\n",
          out);
    kn_docs_each(out, put_synopsis);
    fputs(
        ".SH DESCRIPTION\nKinora makes videos from text and pictures on this machine. "
        "\\fBkinora generate\\fR makes one and ends;\n\\fBkinora serve\\fR is a studio with a queue, a page "
        "and an "
        "HTTP API, which \\fBkinora queue\\fR and the\ncommands after it talk to. Where no server runs they "
        "work on the data folder by themselves.\n.SH COMMANDS\n",
        out);
    kn_docs_each(out, put_command);
    put_params(out);
    put_exit_codes(out);
    put_pairs(out, "ENVIRONMENT", variables, sizeof variables / sizeof *variables);
    put_pairs(out, "FILES", files, sizeof files / sizeof *files);
    fputs(".SH EXAMPLES\n.nf\n"
          "kinora generate \\-\\-model demo \\-\\-prompt \"a red ball rolling to the right\" \\-o ball.mp4\n"
          "kinora pull Wan\\-AI/Wan2.1\\-T2V\\-1.3B\\-Diffusers\n"
          "kinora queue add \\-\\-model demo \\-\\-prompt \"a blue star spins\" \\-\\-watch\n.fi\n",
          out);
}
