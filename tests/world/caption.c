/* Sentences about a scene.  The words here are all that the demo model knows. */
#include <stdio.h>
#include <string.h>

#include "world/world.h"

enum { MAX_WORDS = 8 };

static const char *const shape_words[WORLD_SHAPES][MAX_WORDS] = {
    {"circle", "circle", "ball", "disc", "dot"},
    {"square", "square", "box", "block"},
    {"triangle"},
    {"star"},
    {"ring", "ring", "hoop"},
    {"heart"},
    {"cross", "cross", "plus sign"},
};
static const char *const colour_words[WORLD_COLOURS][MAX_WORDS] = {
    {"red"},  {"orange"},           {"yellow"}, {"green"}, {"cyan", "turquoise"},
    {"blue"}, {"purple", "violet"}, {"pink"},   {"white"},
};
static const char *const size_words[WORLD_SIZES][MAX_WORDS] = {
    {"small", "little", "tiny"},
    {"medium", "medium-sized"},
    {"large", "big", "huge"},
};
static const char *const speed_words[WORLD_SPEEDS][MAX_WORDS] = {
    {" slowly", " gently"},
    {" steadily"},
    {" quickly", " fast", " rapidly"},
};
static const char *const background_words[WORLD_BACKGROUNDS][MAX_WORDS] = {
    {"on a plain background", "against a plain backdrop"},
    {"on a gradient", "on a gradient background", "against a smooth gradient"},
    {"on a checkerboard", "on a checkered background", "over a checkered floor"},
    {"under the sky", "in a field under the sky", "with sky and ground behind", "over green ground"},
};

/* A verb, and where it goes: "moves" + speed + " to the left", or "moving" + speed + " to the left". */
typedef struct verb {
    const char *third, *gerund, *rest;
} verb;

static const verb verbs[WORLD_MOTIONS][MAX_WORDS] = {
    [WORLD_LEFT] = {{"moves", "moving", " left"},
                    {"moves", "moving", " to the left"},
                    {"slides", "sliding", " left"},
                    {"rolls", "rolling", " to the left"},
                    {"drifts", "drifting", " to the left"},
                    {"goes", "going", " left"}},
    [WORLD_RIGHT] = {{"moves", "moving", " right"},
                     {"moves", "moving", " to the right"},
                     {"slides", "sliding", " right"},
                     {"rolls", "rolling", " to the right"},
                     {"drifts", "drifting", " to the right"},
                     {"goes", "going", " right"}},
    [WORLD_UP] = {{"moves", "moving", " up"},
                  {"moves", "moving", " upward"},
                  {"rises", "rising", ""},
                  {"floats", "floating", " up"},
                  {"goes", "going", " up"},
                  {"flies", "flying", " upward"}},
    [WORLD_DOWN] = {{"moves", "moving", " down"},
                    {"moves", "moving", " downward"},
                    {"falls", "falling", ""},
                    {"sinks", "sinking", ""},
                    {"goes", "going", " down"},
                    {"drops", "dropping", ""}},
    [WORLD_UP_LEFT] = {{"moves", "moving", " up and to the left"},
                       {"moves", "moving", " diagonally up left"},
                       {"rises", "rising", " to the left"},
                       {"flies", "flying", " up and left"}},
    [WORLD_UP_RIGHT] = {{"moves", "moving", " up and to the right"},
                        {"moves", "moving", " diagonally up right"},
                        {"rises", "rising", " to the right"},
                        {"flies", "flying", " up and right"}},
    [WORLD_DOWN_LEFT] = {{"moves", "moving", " down and to the left"},
                         {"moves", "moving", " diagonally down left"},
                         {"falls", "falling", " to the left"},
                         {"slides", "sliding", " down and left"}},
    [WORLD_DOWN_RIGHT] = {{"moves", "moving", " down and to the right"},
                          {"moves", "moving", " diagonally down right"},
                          {"falls", "falling", " to the right"},
                          {"slides", "sliding", " down and right"}},
    [WORLD_BOUNCE] = {{"bounces", "bouncing", ""},
                      {"bounces", "bouncing", " up and down"},
                      {"hops", "hopping", " up and down"},
                      {"jumps", "jumping", " up and down"}},
    [WORLD_ORBIT] = {{"orbits", "orbiting", ""},
                     {"moves", "moving", " in a circle"},
                     {"orbits", "orbiting", " the middle"},
                     {"circles", "circling", " around the center"},
                     {"travels", "travelling", " around in a circle"}},
    [WORLD_SPIN] = {{"spins", "spinning", ""},
                    {"rotates", "rotating", ""},
                    {"turns", "turning", " on the spot"},
                    {"spins", "spinning", " around itself"}},
    [WORLD_GROW] = {{"grows", "growing", ""},
                    {"gets", "getting", " bigger"},
                    {"expands", "expanding", ""},
                    {"becomes", "becoming", " larger"}},
    [WORLD_SHRINK] = {{"shrinks", "shrinking", ""},
                      {"gets", "getting", " smaller"},
                      {"contracts", "contracting", ""},
                      {"becomes", "becoming", " smaller"}},
    [WORLD_FADE] = {{"fades", "fading", " away"},
                    {"fades", "fading", " out"},
                    {"disappears", "disappearing", ""},
                    {"vanishes", "vanishing", ""}},
    [WORLD_STILL] = {{"stays", "staying", " still"},
                     {"rests", "resting", ""},
                     {"stands", "standing", " still"},
                     {"does not move", "not moving", ""}},
};

static int pick(kn_rng *r, int n)
{
    return (int)(kn_rng_u32(r) % (uint32_t)n);
}

static const char *word(kn_rng *r, const char *const words[MAX_WORDS])
{
    int n = 0;
    while (n < MAX_WORDS && words[n])
        n++;
    return words[pick(r, n)];
}

static const verb *verb_for(kn_rng *r, world_motion m)
{
    int n = 0;
    while (n < MAX_WORDS && verbs[m][n].third)
        n++;
    return &verbs[m][pick(r, n)];
}

static bool has_size(const world_object *o)
{
    return o->motion != WORLD_GROW && o->motion != WORLD_SHRINK;
}

static bool has_speed(const world_object *o)
{
    return o->motion != WORLD_STILL && o->motion != WORLD_FADE && o->motion != WORLD_GROW &&
           o->motion != WORLD_SHRINK;
}

/* Says "a small red star" and how it moves, in two buffers. */
static void describe(kn_rng *r, const world_object *o, bool gerund, const char *article, char *who,
                     char *what, size_t size)
{
    const char *shape = word(r, shape_words[o->shape]), *colour = word(r, colour_words[o->colour]);
    bool sized = has_size(o) && pick(r, 2);
    const char *big = sized ? word(r, size_words[o->size]) : "";
    const char *first = sized ? big : colour;
    if (strcmp(article, "a") == 0 && first[0] == 'o')
        article = "an";
    snprintf(who, size, "%s%s%s%s%s %s", article, *article ? " " : "", big, sized ? " " : "", colour, shape);
    const verb *v = verb_for(r, o->motion);
    bool paced = has_speed(o) && (o->speed != WORLD_STEADY ? pick(r, 3) > 0 : pick(r, 4) == 0);
    const char *pace = paced ? word(r, speed_words[o->speed]) : "";
    bool pace_last = pick(r, 2);
    snprintf(what, size, "%s%s%s%s", gerund ? v->gerund : v->third, pace_last ? "" : pace, v->rest,
             pace_last ? pace : "");
}

void world_caption(kn_rng *r, const world_scene *s, char *ret)
{
    enum { PART = 48, JOIN = 8 }; /* the longest part has 38 characters, " while " 7 */
    char who[2][PART], what[2][PART], body[4 * PART + JOIN];
    static const char *const articles[] = {"a", "a", "the", ""};
    bool gerund = pick(r, 2);
    const char *article = articles[pick(r, 4)];
    for (int i = 0; i < s->n_objects; i++)
        describe(r, &s->objects[i], gerund, article, who[i], what[i], PART);
    if (s->n_objects == 1) {
        snprintf(body, sizeof body, "%s %s", who[0], what[0]);
    } else {
        static const char *const joins[] = {" and ", " while ", ", "};
        snprintf(body, sizeof body, "%s %s%s%s %s", who[0], what[0], joins[pick(r, gerund ? 3 : 2)], who[1],
                 what[1]);
    }
    const char *where = word(r, background_words[s->background]);
    switch (pick(r, 4)) {
    case 0:
        snprintf(ret, WORLD_CAPTION_MAX, "%s", body);
        break;
    case 1:
        snprintf(ret, WORLD_CAPTION_MAX, "%s, %s", where, body);
        break;
    default:
        snprintf(ret, WORLD_CAPTION_MAX, "%s %s", body, where);
    }
    if (pick(r, 3) == 0 && ret[0] >= 'a' && ret[0] <= 'z')
        ret[0] = (char)(ret[0] - 'a' + 'A');
    size_t n = strlen(ret);
    if (pick(r, 4) == 0 && n + 1 < WORLD_CAPTION_MAX)
        snprintf(ret + n, WORLD_CAPTION_MAX - n, ".");
}
