/* Recipes as JSON:
 *
 *   {"function": "concat", "version": "1.0.0",
 *    "inputs": ["<64 hex digits>", {"ref": "head", "path": "src"}],
 *    "parameters": {"name": "value"}}
 *
 * Version, inputs and parameters may be left out; the version is then 1.0.0. */
#ifndef API_JSON_RECIPE_JSON_H
#define API_JSON_RECIPE_JSON_H

#include "api/json/json.h"
#include "formats/recipe.h"

/* What is wrong is in the problem of the place. Not settled; lives in the arena and the JSON
 * value. */
struct recipe recipe_from_json(const struct json_at *, struct arena *);
/* Its fields, into an object that is begun. */
void recipe_to_json(struct json_writer *, const struct recipe *);

#endif
