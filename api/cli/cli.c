#include "api/cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>

#include "api/cli/commands.h"

/* ---- saying ------------------------------------------------------------------------------ */

static void __attribute__((format(printf, 1, 0))) say(const char *fmt, va_list args)
{
    fputs("mic: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int cli_fail(const struct cli *cli UNUSED, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    return EXIT_FAILED;
}

void cli_say(const struct cli *cli UNUSED, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
    if (cli->command != NULL)
        fprintf(stderr, "usage: mic %s %s\n", cli->command->name, cli->command->form);
    return EXIT_USAGE;
}

int cli_client_failed(const struct cli *cli, const char *what)
{
    const struct client_problem *problem = &cli->client.problem;
    /* What the message names already is not named again. */
    bool says_what = strstr(problem->message, what) != NULL;
    bool says_field = strstr(problem->message, problem->field) != NULL;
    fprintf(stderr, "mic: %s%s%s%s%s%s (%s)\n", says_what ? "" : what, says_what ? "" : ": ",
            problem->message, says_field ? "" : " [", says_field ? "" : problem->field,
            says_field ? "" : "]", problem->code);
    if (strcmp(problem->code, "author_missing") == 0)
        fprintf(stderr, "mic: say who you are: mic login URL --author NAME\n");
    return EXIT_FAILED;
}

/* ---- the command line -------------------------------------------------------------------- */

static void help_line(FILE *to, const struct cli_command *command)
{
    AUTO_BUF left = {0};
    buf_printf(&left, "%s %s", command->name, command->form);
    fprintf(to, "  mic %-46s %s\n", (const char *)left.data, command->summary);
}

static int help(struct cli *cli, const char *first, const char *second)
{
    if (first == NULL) {
        printf("usage: mic COMMAND …, with --json for data that a program reads\n\n");
        for (size_t i = 0; i < cli_commands_n; i++)
            help_line(stdout, &cli_commands[i]);
        printf("\nmic help COMMAND says more. Exit: 0 done, 1 failed, 2 usage, 3 conflict.\n");
        return EXIT_DONE;
    }
    AUTO_BUF name = {0};
    buf_printf(&name, second == NULL ? "%s" : "%s %s", first, second == NULL ? "" : second);
    size_t found = 0;
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *command = &cli_commands[i];
        size_t len = strlen(first);
        bool group = second == NULL && strncmp(command->name, first, len) == 0 &&
                     command->name[len] == ' ';
        if (!group && strcmp(command->name, (const char *)name.data) != 0)
            continue;
        found++;
        printf("mic %s %s\n    %s\n", command->name, command->form, command->summary);
        if (command->help != NULL && !group)
            printf("\n%s\n", command->help);
    }
    if (found == 0)
        return cli_usage(cli, "there is no command \"%s\"; mic help lists them",
                         (const char *)name.data);
    return EXIT_DONE;
}

static const struct cli_command *command_find(const char *first, const char *second, int *words)
{
    for (size_t i = 0; i < cli_commands_n; i++) {
        const char *name = cli_commands[i].name;
        const char *space = strchr(name, ' ');
        size_t len = space == NULL ? strlen(name) : (size_t)(space - name);
        if (strlen(first) != len || memcmp(first, name, len) != 0)
            continue;
        if (space == NULL || (second != NULL && strcmp(second, space + 1) == 0)) {
            *words = space == NULL ? 1 : 2;
            return &cli_commands[i];
        }
    }
    return NULL;
}

static const struct cli_option *option_find(const struct cli_command *command, const char *name,
                                            size_t len)
{
    for (size_t i = 0; i < CLI_OPTIONS_MAX && command->options[i].name != NULL; i++) {
        const struct cli_option *option = &command->options[i];
        bool letter = len == 1 && option->letter == name[0];
        if (letter || (strlen(option->name) == len && memcmp(option->name, name, len) == 0))
            return option;
    }
    return NULL;
}

/* Takes one argument that begins with a dash; `next` is the one behind it. Gives how many it
 * took, or 0 after having complained. */
static int option_take(struct cli *cli, const char *arg, const char *next)
{
    const char *name = arg + (arg[1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    if (strcmp(name, "json") == 0) {
        cli->json = true;
        return 1;
    }
    const struct cli_option *option = option_find(cli->command, name, len);
    if (option == NULL) {
        (void)cli_usage(cli, "mic %s has no option %s", cli->command->name, arg);
        return 0;
    }
    if (cli->n_given == CLI_GIVEN_MAX) {
        (void)cli_usage(cli, "there are too many options");
        return 0;
    }
    struct cli_given *given = &cli->given[cli->n_given++];
    given->option = option;
    if (option->value == NULL) {
        given->value = "";
        if (equals != NULL)
            (void)cli_usage(cli, "--%s takes no value", option->name);
        return equals == NULL ? 1 : 0;
    }
    given->value = equals != NULL ? equals + 1 : next;
    if (given->value == NULL) {
        (void)cli_usage(cli, "--%s needs a value: %s", option->name, option->value);
        return 0;
    }
    return equals != NULL ? 1 : 2;
}

static int parse(struct cli *cli, int argc, char **argv)
{
    bool plain = false;
    for (int i = 0; i < argc;) {
        if (!plain && strcmp(argv[i], "--") == 0) {
            plain = true;
            cli->n_plain = cli->n_words;
            i++;
        } else if (!plain && argv[i][0] == '-' && argv[i][1] != '\0') {
            int took = option_take(cli, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
            if (took == 0)
                return EXIT_USAGE;
            i += took;
        } else {
            cli->words[cli->n_words++] = argv[i++];
        }
    }
    if (!plain)
        cli->n_plain = cli->n_words;
    if (cli->n_words < cli->command->least)
        return cli_usage(cli, "mic %s needs more words", cli->command->name);
    if (cli->n_words > cli->command->most)
        return cli_usage(cli, "mic %s does not take \"%s\"", cli->command->name,
                         cli->words[cli->command->most]);
    return 0;
}

/* There is no such command; its first word may be that of some. */
static int command_missing(const struct cli *cli, const char *first, const char *second)
{
    AUTO_BUF words = {0};
    size_t len = strlen(first);
    for (size_t i = 0; i < cli_commands_n; i++) {
        const char *name = cli_commands[i].name;
        if (strncmp(name, first, len) == 0 && name[len] == ' ')
            buf_printf(&words, "%s%s", words.len > 0 ? ", " : "", name + len + 1);
    }
    buf_append(&words, "", 1);
    bool two = second != NULL && second[0] != '-';
    if (words.len == 1)
        return cli_usage(cli, "there is no command \"%s%s%s\"; mic help lists them", first,
                         two ? " " : "", two ? second : "");
    if (two)
        return cli_usage(cli, "there is no command \"%s %s\"; mic help %s lists them", first,
                         second, first);
    return cli_usage(cli, "mic %s is followed by one of: %s; mic help says more", first,
                     (const char *)words.data);
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
    while (argc > 1 && strcmp(argv[1], "--json") == 0) {
        cli->json = true;
        argv++;
        argc--;
    }
    if (argc < 2) {
        fprintf(stderr, "mic: a command is missing; mic help lists them\n"
                        "usage: mic COMMAND …\n");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(cli, argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL);
    int words = 0;
    cli->command = command_find(argv[1], argc > 2 ? argv[2] : NULL, &words);
    if (cli->command == NULL)
        return command_missing(cli, argv[1], argc > 2 ? argv[2] : NULL);
    for (int i = 1 + words; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(cli, argv[1], words == 2 ? argv[2] : NULL);
    }
    int status = parse(cli, argc - 1 - words, argv + 1 + words);
    return status != 0 ? status : cli->command->run(cli);
}

int cli_run(const struct cli_env *env, int argc, char **argv)
{
    struct cli cli = {.env = env};
    cli.words = calloc((size_t)argc + 1, sizeof(*cli.words));
    cli.given = calloc(CLI_GIVEN_MAX, sizeof(*cli.given));
    if (cli.words == NULL || cli.given == NULL)
        abort();
    int status = dispatch(&cli, argc, argv);
    cli_tick_end(&cli);
    if (cli.has_client)
        client_close(&cli.client);
    if (cli.has_ws)
        workspace_close(&cli.ws);
    arena_release(&cli.arena);
    free(cli.given);
    free(cli.words);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_DONE) {
        fprintf(stderr, "mic: stdout cannot be written\n");
        status = EXIT_FAILED;
    }
    return status;
}

const char *cli_value(const struct cli *cli, const char *name, size_t k)
{
    for (size_t i = 0; i < cli->n_given; i++) {
        if (strcmp(cli->given[i].option->name, name) == 0 && k-- == 0)
            return cli->given[i].value;
    }
    return NULL;
}

bool cli_flag(const struct cli *cli, const char *name)
{
    return cli_value(cli, name, 0) != NULL;
}
