/*
 * The floor that podplug is measured against: starts one CNI plugin for each
 * named namespace, so many at a time, with nothing around it, and prints how
 * long each took (microseconds) and, last, how long all of them took.
 *
 *   bare-plugin ADD|DEL IN_FLIGHT PLUGIN CONFIG NETNS…
 */
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void die(const char *what, int error) {
    fprintf(stderr, "bare-plugin: %s: %s\n", what, strerror(error));
    exit(1);
}

static pid_t start(const char *verb, const char *plugin, const char *config, const char *netns) {
    char command[64], container[300], path[300], where[300];
    const char *base = strrchr(netns, '/') ? strrchr(netns, '/') + 1 : netns;
    snprintf(command, sizeof command, "CNI_COMMAND=%s", verb);
    snprintf(container, sizeof container, "CNI_CONTAINERID=bare-%s", base);
    snprintf(path, sizeof path, "CNI_NETNS=%s", netns);
    snprintf(where, sizeof where, "CNI_PATH=%.*s", (int)(strrchr(plugin, '/') - plugin), plugin);
    char *env[] = {command, container, path, where, "CNI_IFNAME=net1", "CNI_ARGS=",
                   "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    char *argv[] = {(char *)plugin, NULL};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, config, 0, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", 1, 0);
    pid_t pid;
    int error = posix_spawn(&pid, plugin, &files, NULL, argv, env);
    if (error) die(plugin, error);
    posix_spawn_file_actions_destroy(&files);
    return pid;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: bare-plugin ADD|DEL IN_FLIGHT PLUGIN CONFIG NETNS...\n");
        return 2;
    }
    int limit = atoi(argv[2]), count = argc - 5, started = 0, running = 0;
    pid_t *pids = calloc(count, sizeof *pids);
    double *starts = calloc(count, sizeof *starts);
    double begin = now();
    while (started < count || running > 0) {
        while (started < count && running < limit) {
            starts[started] = now();
            pids[started] = start(argv[1], argv[3], argv[4], argv[5 + started]);
            started++, running++;
        }
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0) die("waitpid", errno);
        if (!WIFEXITED(status) || WEXITSTATUS(status)) {
            fprintf(stderr, "bare-plugin: the plugin failed\n");
            return 1;
        }
        for (int i = 0; i < started; i++)
            if (pids[i] == pid) printf("%.0f\n", now() - starts[i]);
        running--;
    }
    printf("%.0f\n", now() - begin);
    return 0;
}
