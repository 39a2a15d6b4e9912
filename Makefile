# Micelio. `make help` lists the targets; `make run` and `make test` are the two to begin with.
#
# Sources are found by wildcard, so a new file needs no line here:
#   formats/**.c                         libmic_core.a, libmic_core.so
#   config pipeline api /**.c            libmic.a
#   jobs/NAME.c                          the program bin/NAME, linked with jobs/shared/*.c
#   tests/{unit,contract,golden,sweep,sim}/test_*.c
#                                        one test program each, linked with tests/support/*.c, and
#                                        those of tests/sim with the other files there
#   tests/fuzz/fuzz_*.c                  one fuzz target each, and a program that replays its corpus
#   ops/bench/*.c                        one benchmark program each, linked with ops/bench/shared/*.c,
#                                        as the tests are
#
# V names a variant, each in a directory of its own: build/$(V). `make V=asan tests`, for example.
#   release  gcc, what is installed       asan  address and undefined sanitizers
#   clang    the same with clang          tsan  thread sanitizer
#   fuzz     clang's libFuzzer with the address and undefined sanitizers
# BUILD=/elsewhere keeps a build out of the tree; WERROR= lets warnings pass.

V      ?= release
BUILD  ?= build
PREFIX ?= /usr/local
PART   ?=
JOBS   ?= $(shell nproc)
WERROR ?= -Werror
B      := $(BUILD)/$(V)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

# ---- sources ------------------------------------------------------------------------------------

find = $(sort $(shell find $(wildcard $(1)) -name '$(2)' -type f 2>/dev/null))

core_src    := $(call find,formats,*.c)
lib_src     := $(call find,config pipeline api,*.c)
jobs_src    := $(wildcard jobs/*.c)
shared_src  := $(wildcard jobs/shared/*.c)
support_src := $(wildcard tests/support/*.c)
test_src    := $(foreach d,unit contract golden sweep sim,$(wildcard tests/$(d)/test_*.c))
sim_src     := $(filter-out tests/sim/test_%,$(wildcard tests/sim/*.c))
fuzz_src    := $(wildcard tests/fuzz/fuzz_*.c)
bench_src   := $(wildcard ops/bench/*.c)
rig_src     := $(wildcard ops/bench/shared/*.c)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

programs := $(patsubst jobs/%.c,$(B)/bin/%,$(jobs_src))
tests    := $(patsubst tests/%.c,$(B)/tests/%,$(test_src))
replays  := $(patsubst tests/fuzz/%.c,$(B)/replay/%,$(fuzz_src))
fuzzers  := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(fuzz_src))
benches  := $(patsubst ops/bench/%.c,$(B)/bench/%,$(bench_src))
libs     := $(B)/libmic.a $(B)/libmic_core.a

# ---- flags --------------------------------------------------------------------------------------

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
    -Wpointer-arith -Wcast-qual -Wwrite-strings -Wconversion -Wimplicit-fallthrough \
    -Wswitch-enum -Wformat=2 -Wnull-dereference -fno-common

hardened := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
# The sanitizers' own instrumentation makes gcc warn about code that is in order, so warnings are
# errors in release and clang only.
sanitized := -O2 -fno-omit-frame-pointer -Wno-null-dereference -Wno-maybe-uninitialized -Wno-error

variants      := release clang asan tsan fuzz
cc_release    := gcc
cc_clang      := clang
cc_asan       := gcc
cc_tsan       := gcc
cc_fuzz       := clang
flags_release := $(hardened)
flags_clang   := $(hardened)
flags_asan    := $(sanitized) -fsanitize=address,undefined -fno-sanitize-recover=all
flags_tsan    := $(sanitized) -fsanitize=thread
flags_fuzz    := $(sanitized) -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all

ifeq ($(filter $(V),$(variants)),)
$(error V=$(V) is not one of: $(variants))
endif

# pkg-config is asked when the first command runs, and once, not when this file is read: on a bare
# machine the packages are installed in between.
once = $(eval $(1) := $(shell pkg-config $(2) || echo pkg-config-failed-see-ops/dev/setup))$($(1))

core_pkgs := libzstd libxxhash libcrypto
lib_pkgs  := libmicrohttpd libcurl expat yaml-0.1 jansson libgit2 libpcre2-8 zlib sqlite3 libarchive \
             $(core_pkgs)
pkg_cflags = $(call once,pkg_cflags,--cflags $(lib_pkgs))
core_libs  = $(call once,core_libs,--libs $(core_pkgs))
pkg_libs   = $(call once,pkg_libs,--libs $(lib_pkgs))
check_libs = $(call once,check_libs,--libs check)
# libcsv has no file for pkg-config, and neither has the library of mathematics.
lib_libs   = $(pkg_libs) -lcsv -lm
test_libs  = $(check_libs) $(lib_libs)

CC       = $(cc_$(V))
base_cflags := -std=gnu17 -g -I. -D_GNU_SOURCE -pthread $(warnings) $(WERROR) $(flags_$(V))
LDFLAGS := -pie -pthread -Wl,--as-needed,-z,relro,-z,now $(filter -f%,$(flags_$(V)))

# ---- what to make -------------------------------------------------------------------------------

.PHONY: all tests replays fuzzers benches
all: $(libs) $(B)/libmic_core.so $(programs) ## libraries and programs into build/release
tests: all $(tests) $(replays) ## the test programs, not run
replays: $(replays)
fuzzers: $(fuzzers)
benches: all $(benches)

# The objects of formats go into the .so, too.
$(B)/obj/formats/%.o: pic := -fPIC
pic := -fPIE

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC    $(V) $<"
	@$(CC) $(base_cflags) $(pic) $(pkg_cflags) -MMD -MP -c -o $@ $<

# Archives are made anew: a member whose source is gone must not linger. The .list files change
# when the set of sources does, and `flags` when the compiler's command line does.
$(B)/libmic_core.a: $(call obj,$(core_src)) $(B)/core.list
$(B)/libmic.a: $(call obj,$(lib_src)) $(B)/lib.list
$(B)/libshared.a: $(call obj,$(shared_src)) $(B)/shared.list
$(B)/libsupport.a: $(call obj,$(support_src)) $(B)/support.list
$(B)/librig.a: $(call obj,$(rig_src)) $(B)/rig.list
$(B)/%.a:
	@echo "  AR    $@"
	@rm -f $@ && ar rcs $@ $(filter %.o,$^)

# A sanitizer's runtime belongs to the program, so its .so has no use of its own.
ifneq ($(filter $(V),release clang),)
$(B)/libmic_core.so: $(call obj,$(core_src)) $(B)/core.list
	@echo "  LINK  $@"
	@$(CC) -shared -Wl,-soname,libmic_core.so -Wl,--no-undefined $(filter-out -pie,$(LDFLAGS)) \
	    -o $@ $(filter %.o,$^) $(core_libs)
else
.PHONY: $(B)/libmic_core.so
endif

link = @mkdir -p $(@D); echo "  LINK  $@"; \
    $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^)

$(programs): $(B)/bin/%: $(B)/obj/jobs/%.o $(B)/libshared.a $(libs)
	$(link) $(lib_libs)
# The simulator's programs see locks, threads and the log through tests/sim/interpose.c and threads.c.
sim_tests := $(filter $(B)/tests/sim/%,$(tests))
$(sim_tests): $(call obj,$(sim_src))
sim_wrapped := -Wl,--wrap=pthread_mutex_lock,--wrap=log_write,--wrap=known_open \
    -Wl,--wrap=pthread_create,--wrap=pthread_join,--wrap=pthread_cond_wait,--wrap=bell_wait \
    -Wl,--wrap=pthread_cond_signal,--wrap=pthread_cond_broadcast
$(sim_tests): wrapped := $(sim_wrapped)
$(tests): $(B)/tests/%: $(B)/obj/tests/%.o $(B)/libsupport.a $(B)/librig.a $(libs)
	$(link) $(wrapped) $(test_libs)

# The simulator with a planted bug, MUTANT=name out of tests/sim/mutations.py: the changed sources
# take the place of those in the libraries.
.PHONY: mutant
mutant: $(B)/mutants/$(MUTANT)/test_sim ## the simulator with the bug MUTANT=name planted
ifneq ($(MUTANT),)
$(B)/mutants/$(MUTANT)/test_sim: $(sim_tests) tests/sim/mutations.py
	@mkdir -p $(@D)
	@echo "  MUTANT $(MUTANT)"
	@tests/sim/mutations.py write $(MUTANT) $(@D)/src > $(@D)/sources
	@for source in $$(cat $(@D)/sources); do \
	    $(CC) $(base_cflags) -w $(pic) $(pkg_cflags) -c -o $$source.o $$source || exit 1; done
	@for test in $(notdir $(sim_tests)); do \
	    $(CC) $(LDFLAGS) -o $(@D)/$$test $$(sed 's/$$/.o/' $(@D)/sources) \
	    $(B)/obj/tests/sim/$$test.o $(call obj,$(sim_src)) $(B)/libsupport.a $(libs) \
	    $(sim_wrapped) $(test_libs) || exit 1; done
endif

$(replays): $(B)/replay/%: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/replay_main.o \
    $(B)/libsupport.a $(libs)
	$(link) $(test_libs)
$(fuzzers): $(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(B)/libsupport.a $(libs)
	$(link) -fsanitize=fuzzer $(test_libs)
$(benches): $(B)/bench/%: $(B)/obj/ops/bench/%.o $(B)/librig.a $(libs)
	$(link) $(wrapped) $(lib_libs)
# It is mic-forge, but for the store that it opens.
$(B)/bench/slow_forge: $(call obj,jobs/mic-forge.c $(shared_src))
$(B)/bench/slow_forge: wrapped := -Wl,--wrap=open_store

# Written only when its content changes, so that what depends on it is made only then.
$(B)/%.list: force
	$(call keep,$($*_src))
$(B)/flags: force
	$(call keep,$(CC) $(base_cflags) $(LDFLAGS))
keep = @mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' > $@
.PHONY: force
force:

.SECONDARY:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# ---- what to do ---------------------------------------------------------------------------------

# The packages come first and the rest in a second make, which then finds them.
.PHONY: run serve test test-s3 test-long bench sim sanitize
run: ## build, and watch a forge at work: import, two agents, a conflict, export
	@ops/dev/setup build
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@ops/dev/run

serve: ## build, and keep a forge running on DIR=…
	@test -n "$(DIR)" || { echo "usage: make serve DIR=/where/the/bucket/lies" >&2; exit 2; }
	@ops/dev/setup build
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@exec $(B)/bin/mic-forge "$(DIR)"

test: ## all tests and checks, within 30 minutes on 2 cores
	@ops/dev/setup test s3
	@ops/dev/test

test-s3: ## the tests that run against an S3 server (Ceph's), and those of that server
	@ops/dev/setup test s3
	@ops/dev/test s3

test-long: ## the same as test with the longer sets, and minutes of fuzzing per target
	@ops/dev/setup test s3
	@MIC_LONG=1 ops/dev/test

bench: ## measure, side by side with git, nginx and the machine itself; PART=a for one part
	@ops/dev/setup bench
	@$(MAKE) --no-print-directory -j$(JOBS) benches
	@ops/bench/run $(PART)

sim: ## the simulator; SEED=n plays one seed and tells what happens
	@$(MAKE) --no-print-directory -j$(JOBS) $(B)/tests/sim/test_sim
	@$(B)/tests/sim/test_sim $(if $(SEED),run $(SEED))

sanitize: ## build and run the unit and contract tests under the sanitizers
	@ops/dev/setup test s3
	@ops/dev/test asan tsan

.PHONY: fuzz check format setup install clean help
fuzz: ## fuzz for SECONDS=60 each, TARGETS="page head" or all
	@ops/dev/setup test
	@MIC_FUZZ_SECONDS=$(or $(SECONDS),60) ops/dev/test fuzz $(TARGETS)

check: ## formatting, clang-tidy and the layers
	@ops/dev/test format layers tidy

format: ## let clang-format have its way
	@clang-format -i $(call find,$(folders),*.[ch])
folders := api config formats jobs ops pipeline tests

setup: ## install the Debian packages that are missing
	@ops/dev/setup build test s3 bench

install: all ## programs, libmic_core and its headers under PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib
	install $(programs) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(B)/libmic_core.a $(B)/libmic_core.so $(DESTDIR)$(PREFIX)/lib
	for h in $(call find,formats,*.h); do \
	    install -D -m 644 $$h $(DESTDIR)$(PREFIX)/include/micelio/$$h || exit 1; done

clean: ## remove build/
	rm -rf $(BUILD)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
