"""Rounds: two servers measured turn and turn about, and what becomes of the figures."""

import statistics


def measure(client, server, workload, seconds):
    """One half of a round."""
    used, switched = server.processor_time(), server.switches()
    seen = client.load(server, workload, seconds * workload.times)
    requests = max(seen["requests"], 1)
    if not workload.beside:
        # Otherwise the processor time would be that of other requests as well.
        seen["cpu"] = (server.processor_time() - used) / requests * 1e6
        seen["switches"] = (server.switches() - switched) / requests
    seen["unfair"] = seen["max"] / seen["mean"] if seen["mean"] else 0
    return seen


def compare(client, servers, workload, rounds, seconds):
    """The rounds of one workload: for each, what both modules did."""
    for server in servers.values():
        # httpd starts more children for many connections, one, two, four a second, and each may have an application to import.
        grows = workload.connections > 64 or server.mpm == "prefork"
        client.load(server, workload, 4 if grows else min(0.5, seconds))
    result = []
    for number in range(rounds):
        names = list(servers) if number % 2 == 0 else list(reversed(servers))
        result.append({name: measure(client, servers[name], workload, seconds) for name in names})
    return result


def ratios(rounds, figure, ours="ours", theirs="mod_wsgi"):
    """Ours against theirs in each round, sorted."""
    return sorted(each[ours][figure] / each[theirs][figure] for each in rounds if each[theirs].get(figure))


def median(rounds, name, figure):
    return statistics.median(each[name].get(figure, 0) for each in rounds)
