/* Folders that a test makes for itself. */
#ifndef TESTS_SUPPORT_FOLDER_H
#define TESTS_SUPPORT_FOLDER_H

/* Makes a new folder of a template that ends with XXXXXX, which gets its name. */
void folder_make(char *template);
/* Removes a folder with all that lies in it; links are not followed. */
void folder_remove(const char *path);

#endif
