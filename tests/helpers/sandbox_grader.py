"""A grader to be killed: runs jobs in threads, each of which would go on for ten minutes.

Arguments: the bwrap to use or "", number of jobs, and the value that marks their processes.
"""

import sys
import threading

from ftpsvc.homework.sandbox.base import Job, Limits
from ftpsvc.homework.sandbox.choose import choose

if __name__ == "__main__":
    sandbox = choose(program=sys.argv[1] or None)
    job = Job(argv=("sleep", "600"), env={"FTPSVC_TEST_MARK": sys.argv[3]}, limits=Limits(wall=600))
    threads = [threading.Thread(target=sandbox.run, args=(job,)) for _ in range(int(sys.argv[2]))]
    print("go", flush=True)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
