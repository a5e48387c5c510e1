// Sign up and sign in with a client made by OpenAPI Generator. Arguments: ORIGIN STEP NAME and those
// of the step.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	authsite "example.org/authsite/client"
)

func main() {
	origin, step, given := os.Args[1], os.Args[2], os.Args[3:]
	configuration := authsite.NewConfiguration()
	configuration.Servers = authsite.ServerConfigurations{{URL: origin}}
	api := authsite.NewAPIClient(configuration)
	steps := map[string]func(*authsite.APIClient, []string) string{
		"sign-up": signUp, "verify": verify, "sign-in": signIn,
	}
	fmt.Println(steps[step](api, given))
}

func signUp(api *authsite.APIClient, given []string) string {
	body := *authsite.NewNewUserRequest(given[0], given[0]+"@example.org", given[1])
	user, _, err := api.UsersAPI.SignUp(context.Background()).NewUserRequest(body).Execute()
	check(err)
	return user.Username
}

func verify(api *authsite.APIClient, given []string) string {
	body := *authsite.NewVerifyRequest(given[0]+"@example.org", given[1])
	user, _, err := api.EmailAPI.VerifyEmail(context.Background()).VerifyRequest(body).Execute()
	check(err)
	return user.Username
}

func signIn(api *authsite.APIClient, given []string) string {
	ctx := context.Background()
	password := authsite.SignInRequest{Username: &given[0], Password: &given[1]}
	_, _, err := api.TokenAPI.SignIn(ctx).SignInRequest(password).Execute()
	var refused *authsite.GenericOpenAPIError
	if !errors.As(err, &refused) {
		log.Fatal("no second step: ", err)
	}
	first := refused.Model().(authsite.SignInError)
	if first.Code != authsite.SECOND_FACTOR_REQUIRED || first.Methods[0] != "totp" {
		log.Fatal(first)
	}
	second := authsite.SecondStepRequest{Challenge: *first.Challenge, Code: &given[2]}
	tokens, _, err := api.TokenAPI.CompleteSignIn(ctx).SecondStepRequest(second).Execute()
	check(err)
	ctx = context.WithValue(ctx, authsite.ContextAccessToken, tokens.Access)
	me, _, err := api.MeAPI.GetMe(ctx).Execute()
	check(err)
	return me.Username
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
