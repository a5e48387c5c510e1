// Presses the button that sends the answer to the app. Without this file, a person does.

document.querySelector("button").click()
