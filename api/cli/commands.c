#include "api/cli/commands.h"

#define MANY 1000u

#define MESSAGE                \
    {                          \
        "message", 'm', "GOAL" \
    }
#define PROJECT                   \
    {                             \
        "project", 'p', "PROJECT" \
    }
#define AT                  \
    {                       \
        "at", 0, "POSITION" \
    }
#define GUARD                \
    {                        \
        "guard", 'g', "PATH" \
    }

#define EXPECT                 \
    {                          \
        "expect", 0, "ADDRESS" \
    }

const struct cli_command cli_commands[] = {
    {"login",
     "URL [--author NAME]",
     "say where the forge is, and who you are",
     "Kept in ~/.config/micelio/config.json. MIC_URL and MIC_AUTHOR, when set, count instead.",
     cmd_login,
     1,
     1,
     {{"author", 'a', "NAME"}}},
    {"project create", "HANDLE", "make a project", NULL, cmd_project_create, 1, 1, {{0}}},
    {"project list", "", "list the projects", NULL, cmd_project_list, 0, 0, {{0}}},
    {"checkout",
     "PROJECT [DIR] [--at POSITION]",
     "make a workspace of a project",
     "DIR is the project's handle unless given. It must be empty, or a checkout of the same\n"
     "project that was interrupted, which is then finished.",
     cmd_checkout,
     1,
     2,
     {AT}},
    {"status",
     "[--remote [--guard PATH...]]",
     "what is changed in this workspace",
     "With --remote also whether it would land now, with the session's guards or those\n"
     "given, and if not, on which paths and who was there first. Nothing lands and nothing\n"
     "is uploaded. Exit 3: it would conflict; 1: it would be refused, or nobody can be asked.",
     cmd_status,
     0,
     0,
     {{"remote", 'r', NULL}, GUARD}},
    {"diff",
     "[A [B] | A..[B]] [PATH...]",
     "how files differ, as a patch",
     "Without a position: the files here against their base. A: the files here against "
     "position\n"
     "A. A B or A..B: position B against A; A..: the head against A, of which --project\n"
     "needs no workspace. Only files at or below the paths, if there are any; a path that is "
     "a\n"
     "number comes after --. `git apply` and `patch -p1` take what it prints, but for binary\n"
     "files and those over 8 MiB, of which it says only that they differ.",
     cmd_diff,
     0,
     MANY,
     {PROJECT}},
    {"land",
     "[-m GOAL] [--guard PATH...] [--note TEXT...]",
     "land what is changed here",
     "Lands all changes at once, or the session that was started here. A guard says that the\n"
     "work relied on a path, file or directory: should it have changed, nothing lands.\n"
     "After a conflict: mic sync, look at the files, and land again.",
     cmd_land,
     0,
     0,
     {MESSAGE, GUARD, {"note", 'n', "TEXT"}}},
    {"session start",
     "-m GOAL",
     "begin a session in this workspace",
     "Until it lands or is abandoned, notes, decisions and guards go to it, and `mic land`\n"
     "lands it.",
     cmd_session_start,
     0,
     0,
     {MESSAGE}},
    {"session note",
     "[--role ROLE] TEXT",
     "add a turn of the conversation",
     NULL,
     cmd_session_note,
     1,
     1,
     {{"role", 'r', "ROLE"}}},
    {"session decide", "TEXT", "add a decision", NULL, cmd_session_decide, 1, 1, {{0}}},
    {"session guard",
     "PATH...",
     "say that the session relies on paths",
     NULL,
     cmd_session_guard,
     1,
     MANY,
     {{0}}},
    {"session show",
     "[SESSION]",
     "what is in a session",
     NULL,
     cmd_session_show,
     0,
     1,
     {PROJECT}},
    {"session list",
     "",
     "the project's open sessions",
     NULL,
     cmd_session_list,
     0,
     0,
     {PROJECT}},
    {"session abandon",
     "[REASON]",
     "give the session up; files stay as they are",
     NULL,
     cmd_session_abandon,
     0,
     1,
     {{0}}},
    {"sync",
     "",
     "take in what others landed",
     "Files that only others changed become theirs. Text that both changed is merged, with\n"
     "conflict markers where it must. Of a binary file that both changed yours stays, and\n"
     "theirs is written beside it as NAME.theirs.",
     cmd_sync,
     0,
     0,
     {{0}}},
    {"log",
     "[PATH] [--limit N] [--follow]",
     "what landed, newest first",
     "With a path, what changed that file or something below that directory, also when it is\n"
     "gone by now. Says where a file was moved from; --follow goes on with what it was there.\n"
     "With --project the path begins at the top of the project.",
     cmd_log,
     0,
     1,
     {{"limit", 'n', "N"}, {"follow", 'f', NULL}, PROJECT}},
    {"show",
     "POSITION [--brief]",
     "one landing: goal, conversation, decisions, changes",
     "With the lines that it changed, of the first 1,000 files; --brief leaves them out.",
     cmd_show,
     1,
     1,
     {{"brief", 'b', NULL}, PROJECT}},
    {"blame",
     "PATH [--at POSITION] [--why]",
     "which landing each line of a file came with",
     "For each line the position, session, author and goal; with --why the lines stand below\n"
     "the whole goal and the decisions. A renamed file is followed to what it was called "
     "before.",
     cmd_blame,
     1,
     1,
     {AT, {"why", 'w', NULL}, PROJECT}},
    {"revert",
     "POSITION [-m GOAL]",
     "land the inverse of a landing",
     "Brings each path that the landing changed back to what it was before. A path that was\n"
     "changed again since is a conflict, and nothing lands. A workspace is left as it is: mic\n"
     "sync takes the landing in.",
     cmd_revert,
     1,
     1,
     {MESSAGE, PROJECT}},
    {"cat",
     "PATH [--at POSITION]",
     "print a file of the project",
     NULL,
     cmd_cat,
     1,
     1,
     {AT, PROJECT}},
    {"ls",
     "[PATH] [--at POSITION]",
     "list a directory of the project",
     NULL,
     cmd_ls,
     0,
     1,
     {AT, PROJECT}},
    {"goto",
     "POSITION",
     "bring this workspace to a position",
     "Refuses when a file that is changed here would be overwritten.",
     cmd_goto,
     1,
     1,
     {{0}}},
    {"ref bind",
     "NAME ADDRESS [--expect ADDRESS|none]",
     "bind a name to an address",
     "An address is that of bytes, of a recipe, or the content hash of a directory: 64 hex\n"
     "digits. With --expect only if the name is bound to that, or to nothing. Exit 3: it is\n"
     "not, or the address would be computed from itself.",
     cmd_ref_bind,
     2,
     2,
     {EXPECT, PROJECT}},
    {"ref get",
     "NAME [PATH]",
     "the address that a name is bound to",
     "The name `head` is the project's own tree. With a path what lies below it: the content\n"
     "hash of a directory, or the SHA-256 of a file.",
     cmd_ref_get,
     1,
     2,
     {PROJECT}},
    {"ref ls", "[PREFIX]", "list the names that are bound", NULL, cmd_ref_ls, 0, 1, {PROJECT}},
    {"ref rm",
     "NAME [--expect ADDRESS]",
     "delete a name",
     NULL,
     cmd_ref_rm,
     1,
     1,
     {EXPECT, PROJECT}},
    {"ref log",
     "NAME [--limit N]",
     "what a name was bound to, newest first",
     NULL,
     cmd_ref_log,
     1,
     1,
     {{"limit", 'n', "N"}, PROJECT}},
    {"import dir",
     "DIR PROJECT -m GOAL [--delete]",
     "land a directory's files",
     "Makes the project if there is none. Files that the directory lacks stay, unless\n"
     "--delete. A large directory lands in several pieces.",
     cmd_import_dir,
     2,
     2,
     {MESSAGE, {"delete", 0, NULL}}},
    {"import git",
     "REPOSITORY PROJECT [--ref REF]",
     "land a git history, one landing a commit",
     "Makes the project if there is none. Goes on where an earlier import stopped.",
     cmd_import_git,
     2,
     2,
     {{"ref", 0, "REF"}}},
    {"export git",
     "PROJECT DIR [--bare] [--branch NAME]",
     "write a project's history as a git repository",
     NULL,
     cmd_export_git,
     2,
     2,
     {{"bare", 0, NULL}, {"branch", 'b', "NAME"}}},
};

const size_t cli_commands_n = ARRAY_LEN(cli_commands);
