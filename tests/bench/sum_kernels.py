"""The kernels that ncu saw, by the time that they took together.

    ncu --csv --metrics gpu__time_duration.sum … | sum_kernels.py
"""

import collections
import csv
import sys

# ncu prints among what the program prints; its lines are quoted.
rows = list(csv.DictReader(line for line in sys.stdin if line.startswith('"')))
if not rows:
    sys.exit("ncu saw no kernel")
milliseconds = {"ns": 1e-6, "nsecond": 1e-6, "us": 1e-3, "usecond": 1e-3, "ms": 1, "msecond": 1}
times, counts = collections.Counter(), collections.Counter()
for row in rows:
    name = row["Kernel Name"]
    times[name] += float(row["Metric Value"].replace(",", "")) * milliseconds[row["Metric Unit"]]
    counts[name] += 1
print(f"{sum(times.values()):.2f} ms in {len(rows)} kernels of {len(times)} kinds")
for name, time in times.most_common(25):
    print(f"{time:8.3f} ms {counts[name]:5d} times  {name[:140]}")
