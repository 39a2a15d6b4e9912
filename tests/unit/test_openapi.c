/* api/openapi.yaml describes every route, and no other. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/http/route.h"
#include "tests/support/suite.h"

/* "/projects/{id}:" as the routes spell it: "/projects/:id"; a path parameter is "*path". */
static void pattern_of(const char *line, char *out)
{
    size_t n = 0;
    for (const char *at = line; *at != '\0' && !(at[0] == ':' && at[1] == '\n'); at++) {
        if (*at == '{')
            out[n++] = strncmp(at, "{path}", 6) == 0 ? '*' : ':';
        else if (*at != '}')
            out[n++] = *at;
    }
    out[n] = '\0';
}

static const struct route *route_of(const char *pattern, const char *method)
{
    for (size_t i = 0; i < routes_n; i++) {
        if (strcmp(routes[i].pattern, pattern) == 0 &&
            strcasecmp(routes[i].method, method) == 0)
            return &routes[i];
    }
    return NULL;
}

START_TEST(test_routes_and_description_agree)
{
    FILE *file = fopen("api/openapi.yaml", "r");
    ck_assert_ptr_nonnull(file);
    char line[512];
    char pattern[512] = "";
    bool described[64] = {false};
    bool inside = false;
    ck_assert_uint_le(routes_n, ARRAY_LEN(described));
    while (fgets(line, sizeof(line), file) != NULL) {
        if (line[0] != ' ')
            inside = strcmp(line, "paths:\n") == 0;
        if (!inside || line[0] != ' ')
            continue;
        if (strncmp(line, "  /", 3) == 0)
            pattern_of(line + 2, pattern);
        char method[8];
        if (sscanf(line, "    %7[a-z]:", method) != 1 || line[4] == ' ')
            continue;
        const struct route *route = route_of(pattern, method);
        ck_assert_msg(route != NULL, "described, but there is no route: %s %s", method,
                      pattern);
        described[route - routes] = true;
    }
    ck_assert_int_eq(fclose(file), 0);
    for (size_t i = 0; i < routes_n; i++)
        ck_assert_msg(described[i], "not described: %s %s", routes[i].method,
                      routes[i].pattern);
}
END_TEST

START_TEST(test_routes_are_found)
{
    struct route_match m = route_find("GET", "/api/mic/projects/demo/tree/a/b");
    ck_assert_ptr_eq((const void *)m.route,
                     (const void *)route_of("/projects/:id/tree/*path", "GET"));
    ck_assert(bytes_equal(m.project, bytes_str("demo")));
    ck_assert(bytes_equal(m.rest, bytes_str("a/b")));
    m = route_find("HEAD", "/api/mic/projects/demo/blobs/00");
    ck_assert_ptr_nonnull(m.route);
    ck_assert(bytes_equal(m.rest, bytes_str("00")));
    m = route_find("DELETE", "/api/mic/projects/demo/head");
    ck_assert_ptr_null(m.route);
    ck_assert_str_eq(route_methods(m.methods), "GET, HEAD");
    ck_assert_ptr_null(route_find("GET", "/api/mic/projects/demo/head/more").route);
    ck_assert_ptr_null(route_find("GET", "/api/mic/projects//head").route);
    ck_assert_ptr_null(route_find("GET", "/elsewhere").route);
    ck_assert_ptr_nonnull(route_find("GET", "/api/mic/projects/demo/tree/").route);
    m = route_find("GET", "/api/mic/projects/demo/refs/a/b/log");
    ck_assert_ptr_eq((const void *)m.route,
                     (const void *)route_of("/projects/:id/refs/*path/log", "GET"));
    ck_assert(bytes_equal(m.rest, bytes_str("a/b")));
    m = route_find("GET", "/api/mic/projects/demo/refs/log");
    ck_assert_ptr_eq((const void *)m.route,
                     (const void *)route_of("/projects/:id/refs/*path", "GET"));
    ck_assert(bytes_equal(m.rest, bytes_str("log")));
    m = route_find("GET", "/api/mic/projects/demo/refs");
    ck_assert_ptr_eq((const void *)m.route,
                     (const void *)route_of("/projects/:id/refs", "GET"));
    m = route_find("POST", "/api/mic/projects/demo/refs/a");
    ck_assert_ptr_null(m.route);
    ck_assert_str_eq(route_methods(m.methods), "GET, HEAD, PUT, DELETE");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_routes_and_description_agree,
        test_routes_are_found,
    };
    return suite_run("openapi", tests, ARRAY_LEN(tests));
}
