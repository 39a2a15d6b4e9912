#include "api/cli/ignore.h"

#include <ctype.h>
#include <stdlib.h>

#include "formats/path.h"

/* ---- patterns ---------------------------------------------------------------------------- */

static bool class_has(const char *name, size_t len, uint8_t c)
{
    static const struct {
        const char *name;
        int (*is)(int);
    } classes[] = {
        {"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank}, {"cntrl", iscntrl},
        {"digit", isdigit}, {"graph", isgraph}, {"lower", islower}, {"print", isprint},
        {"punct", ispunct}, {"space", isspace}, {"upper", isupper}, {"xdigit", isxdigit},
    };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (strlen(classes[i].name) == len && memcmp(classes[i].name, name, len) == 0)
            return c < 128 && classes[i].is(c) != 0;
    }
    return false;
}

/* Matches `c` against the set that begins behind the '[' at `at`; gives where it ends, or 0
 * when it does not: then no set is meant, and nothing matches. */
static size_t set_match(struct bytes pattern, size_t at, uint8_t c, bool *matches)
{
    const uint8_t *p = pattern.data;
    bool negated = at < pattern.len && (p[at] == '!' || p[at] == '^');
    at += negated ? 1 : 0;
    bool found = false;
    for (size_t first = at; at < pattern.len && (p[at] != ']' || at == first);) {
        if (p[at] == '[' && at + 1 < pattern.len && p[at + 1] == ':') {
            size_t end = at + 2;
            while (end + 1 < pattern.len && !(p[end] == ':' && p[end + 1] == ']'))
                end++;
            if (end + 1 < pattern.len) {
                found |= class_has((const char *)p + at + 2, end - at - 2, c);
                at = end + 2;
                continue;
            }
        }
        at += p[at] == '\\' && at + 1 < pattern.len ? 1 : 0;
        uint8_t low = p[at++];
        uint8_t high = low;
        if (at + 1 < pattern.len && p[at] == '-' && p[at + 1] != ']') {
            at++;
            at += p[at] == '\\' && at + 1 < pattern.len ? 1 : 0;
            high = p[at++];
        }
        found |= c >= low && c <= high;
    }
    *matches = found != negated && c != '/';
    return at < pattern.len ? at + 1 : 0;
}

/* Matches one piece that is no star, at `*p`, against `c`, and moves on over it. */
static bool piece_match(struct bytes pattern, size_t *p, uint8_t c)
{
    uint8_t head = pattern.data[*p];
    if (head == '?') {
        *p += 1;
        return c != '/';
    }
    if (head == '[') {
        bool matches;
        size_t end = set_match(pattern, *p + 1, c, &matches);
        if (end != 0)
            *p = end;
        return end != 0 && matches;
    }
    if (head == '\\' && *p + 1 < pattern.len)
        head = pattern.data[++*p];
    *p += 1;
    return head == c;
}

/* What a star at `p` is: 1 for one that stops at a slash, 2 for one that does not, 3 for a run
 * of whole directories; and where the pattern goes on. */
static int star_kind(struct bytes pattern, size_t p, size_t *rest)
{
    size_t end = p;
    while (end < pattern.len && pattern.data[end] == '*')
        end++;
    *rest = end;
    bool starts = p == 0 || pattern.data[p - 1] == '/';
    if (end - p < 2 || !starts)
        return 1;
    if (end == pattern.len)
        return 2;
    if (pattern.data[end] != '/')
        return 1;
    *rest = end + 1;
    return 3;
}

/* Of the stars met so far only the last of each kind is ever tried again: what an earlier one
 * could take, the later one can, too. So it takes no more than pattern times text steps twice
 * over. */
bool wild_match(struct bytes pattern, struct bytes text)
{
    size_t p = 0, t = 0;
    size_t star_p = SIZE_MAX, star_t = 0; /* the last '*' */
    size_t deep_p = SIZE_MAX, deep_t = 0; /* the last '**' */
    bool deep_whole = false;
    for (;;) {
        if (p < pattern.len && pattern.data[p] == '*') {
            size_t rest;
            int kind = star_kind(pattern, p, &rest);
            p = rest;
            if (kind == 1) {
                star_p = p;
                star_t = t;
            } else {
                deep_p = p;
                deep_t = t;
                deep_whole = kind == 3;
                star_p = SIZE_MAX;
            }
            continue;
        }
        if (t == text.len && p == pattern.len)
            return true;
        if (t < text.len && p < pattern.len && piece_match(pattern, &p, text.data[t])) {
            t++;
            continue;
        }
        if (star_p != SIZE_MAX && star_t < text.len && text.data[star_t] != '/') {
            p = star_p;
            t = ++star_t;
            continue;
        }
        if (deep_p == SIZE_MAX || deep_t >= text.len)
            return false;
        deep_t++;
        /* "**" and a slash ends where a directory does. */
        while (deep_whole && deep_t <= text.len && text.data[deep_t - 1] != '/') {
            if (deep_t == text.len)
                return false;
            deep_t++;
        }
        p = deep_p;
        t = deep_t;
        star_p = SIZE_MAX;
    }
}

/* ---- rules ------------------------------------------------------------------------------- */

void ignore_init(struct ignore *ignore)
{
    *ignore = (struct ignore){0};
}

void ignore_release(struct ignore *ignore)
{
    while (ignore->n > 0)
        ignore_pop(ignore);
    free(ignore->stack);
    *ignore = (struct ignore){0};
}

/* A line without its end; false when it is empty or a comment. */
static bool rule_parse(struct bytes line, struct ignore_rule *out)
{
    struct ignore_rule rule = {0};
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    /* Spaces at the end go, unless one is quoted. */
    while (line.len > 0 && line.data[line.len - 1] == ' ' &&
           !(line.len > 1 && line.data[line.len - 2] == '\\'))
        line.len--;
    if (line.len == 0 || line.data[0] == '#')
        return false;
    if (line.data[0] == '!') {
        rule.negated = true;
        line = bytes_of(line.data + 1, line.len - 1);
    }
    if (line.len > 0 && line.data[line.len - 1] == '/') {
        rule.directory = true;
        line.len--;
    }
    rule.anchored = line.len > 0 && memchr(line.data, '/', line.len) != NULL;
    if (line.len > 0 && line.data[0] == '/')
        line = bytes_of(line.data + 1, line.len - 1);
    rule.pattern = line;
    *out = rule;
    return line.len > 0;
}

static void rules_parse(struct ignore_rules *rules, struct bytes text)
{
    size_t lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n' ? 1 : 0;
    rules->rules = calloc(lines, sizeof(*rules->rules));
    if (rules->rules == NULL)
        abort();
    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.data);
        if (rule_parse(bytes_of(text.data, len), &rules->rules[rules->n]))
            rules->n++;
        size_t step = end == NULL ? len : len + 1;
        text = bytes_of(text.data + step, text.len - step);
    }
}

void ignore_push(struct ignore *ignore, struct bytes dir, struct bytes text)
{
    if (ignore->n == ignore->cap) {
        ignore->cap = ignore->cap == 0 ? 16 : 2 * ignore->cap;
        ignore->stack = realloc(ignore->stack, ignore->cap * sizeof(*ignore->stack));
        if (ignore->stack == NULL)
            abort();
    }
    struct ignore_rules *rules = &ignore->stack[ignore->n++];
    *rules = (struct ignore_rules){0};
    if (text.len == 0)
        return;
    rules->text = malloc(dir.len + text.len);
    if (rules->text == NULL)
        abort();
    if (dir.len > 0)
        memcpy(rules->text, dir.data, dir.len);
    memcpy(rules->text + dir.len, text.data, text.len);
    rules->dir = bytes_of(rules->text, dir.len);
    rules_parse(rules, bytes_of(rules->text + dir.len, text.len));
}

void ignore_pop(struct ignore *ignore)
{
    assert(ignore->n > 0);
    struct ignore_rules *rules = &ignore->stack[--ignore->n];
    free(rules->rules);
    free(rules->text);
}

static bool rule_matches(const struct ignore_rule *rule, struct bytes below, struct bytes name,
                         bool is_directory)
{
    if (rule->directory && !is_directory)
        return false;
    return wild_match(rule->pattern, rule->anchored ? below : name);
}

bool ignore_match(const struct ignore *ignore, struct bytes path, bool is_directory)
{
    struct bytes name = path_base(path);
    for (size_t i = ignore->n; i-- > 0;) {
        const struct ignore_rules *rules = &ignore->stack[i];
        size_t skip = rules->dir.len == 0 ? 0 : rules->dir.len + 1;
        if (path.len <= skip)
            continue;
        struct bytes below = bytes_of(path.data + skip, path.len - skip);
        for (size_t k = rules->n; k-- > 0;) {
            if (rule_matches(&rules->rules[k], below, name, is_directory))
                return !rules->rules[k].negated;
        }
    }
    return false;
}
