"""The robot at the hotline, without any socket: what it says to what it hears.

Both servers of this lesson use it. A dialogue is one caller's; nothing of it is shared.
"""

MENU = "Press 1 for opening hours, 2 for your balance, 0 for a person, or say exit"


class Dialogue:
    def __init__(self):
        self.asked = 0
        self.over = False

    def greeting(self):
        return "Welcome to the hotline. " + MENU

    def answer(self, said):
        self.asked += 1
        match said.strip().lower():
            case "1":
                return "We are open from nine to five. " + MENU
            case "2":
                return f"You have asked {self.asked} times, and it is free. " + MENU
            case "0":
                self.over = True
                return "I connect you with a person: number 8001. Goodbye"
            case "exit":
                self.over = True
                return "Goodbye"
            case _:
                return "I did not understand. " + MENU
